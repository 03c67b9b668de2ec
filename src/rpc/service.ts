import type { BinaryReader, BinaryWriter } from '@bufbuild/protobuf/wire';
import type { Call } from './call.js';

/** What ts-proto generates for a message. */
export interface MessageType<T> {
  encode(message: T, writer?: BinaryWriter): { finish(): Uint8Array };
  decode(input: BinaryReader | Uint8Array): T;
}

/** What ts-proto generates for a method (`outputServices=generic-definitions`). */
export interface MethodDefinition {
  readonly name: string;
  // biome-ignore lint/suspicious/noExplicitAny: inferred again by Handler.
  readonly requestType: any;
  readonly requestStream: boolean;
  // biome-ignore lint/suspicious/noExplicitAny: inferred again by Handler.
  readonly responseType: any;
  readonly responseStream: boolean;
}

export interface ServiceDefinition {
  readonly fullName: string;
  readonly methods: Readonly<Record<string, MethodDefinition>>;
}

/** A message, or the bytes of one that is encoded already. */
export type Encodable<T> = T | Buffer;

type Awaitable<T> = T | Promise<T>;
type RequestOf<M> = M extends { requestType: { decode(...args: never[]): infer T } } ? T : never;
type ResponseOf<M> = M extends { responseType: { decode(...args: never[]): infer T } } ? T : never;

/** A handler throws TroupeError to answer with an error; whatever else it throws becomes an opaque INTERNAL. */
export type Handler<M extends MethodDefinition> = M['requestStream'] extends true
  ? (requests: AsyncIterable<RequestOf<M>>, call: Call) => AsyncIterable<Encodable<ResponseOf<M>>>
  : M['responseStream'] extends true
    ? (request: RequestOf<M>, call: Call) => AsyncIterable<Encodable<ResponseOf<M>>>
    : (request: RequestOf<M>, call: Call) => Awaitable<Encodable<ResponseOf<M>>>;

/** One handler for each method of a service. */
export type Handlers<D extends ServiceDefinition> = { readonly [K in keyof D['methods']]: Handler<D['methods'][K]> };

/** The same service with other message types for some methods: how routers read twins that leave payloads encoded. */
export function withTypes<
  D extends ServiceDefinition,
  T extends { readonly [K in keyof D['methods']]?: Pick<MethodDefinition, 'requestType' | 'responseType'> },
>(definition: D, types: T): Retyped<D, T> {
  const methods = Object.entries(definition.methods).map(([key, method]) => [key, { ...method, ...types[key as keyof T] }]);
  return { fullName: definition.fullName, methods: Object.fromEntries(methods) } as Retyped<D, T>;
}

type Retyped<D extends ServiceDefinition, T> = {
  readonly fullName: D['fullName'];
  readonly methods: {
    readonly [K in keyof D['methods']]: K extends keyof T
      ? Omit<D['methods'][K], 'requestType' | 'responseType'> & T[K]
      : D['methods'][K];
  };
};
