import { createRequire } from 'node:module';
import { type GrpcObject, loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import type { ICallable } from 'etcd3';

/** grpc-js does not export these two by name. */
export type ServiceClientClass = Extract<GrpcObject[string], { readonly service: unknown; readonly serviceName: string }>;
export type ServiceClient = InstanceType<ServiceClientClass>;

export type EtcdService = Parameters<ICallable<unknown>['exec']>[0];

let services: GrpcObject | undefined;

/**
 * The grpc-js client class of one of etcd's services, from the contract that etcd3 ships and with the options that etcd3's
 * own types describe (64-bit numbers as strings). Loaded on first use.
 */
export function etcdServiceClass(service: EtcdService): ServiceClientClass {
  services ??= load();
  return services[service] as ServiceClientClass;
}

/** `method` as etcd3's clients name it: the contract's name with a small first letter. */
export function etcdMethod(service: EtcdService, method: string): ServiceClientClass['service'][string] {
  const definition = etcdServiceClass(service).service[method.charAt(0).toUpperCase() + method.slice(1)];
  if (definition === undefined) throw new Error(`etcd has no method ${service}.${method}`);
  return definition;
}

function load(): GrpcObject {
  const path = createRequire(import.meta.url).resolve('etcd3/proto/rpc.proto');
  const definition = loadSync(path, { keepCase: true, longs: String, enums: String, defaults: true, oneofs: true });
  return loadPackageDefinition(definition).etcdserverpb as GrpcObject;
}
