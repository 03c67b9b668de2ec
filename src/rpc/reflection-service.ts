import type { FileDescriptorProto } from '@bufbuild/protobuf/wkt';
import { status } from '@grpc/grpc-js';
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionDefinition as V1,
} from '../gen/grpc/reflection/v1/reflection.js';
import { ServerReflectionDefinition as V1Alpha } from '../gen/grpc/reflection/v1alpha/reflection.js';
import type { DescriptorIndex } from './descriptor-index.js';
import type { RpcServer } from './server.js';

/** Serves the reflection protocol, v1 and v1alpha, for what is mounted on `server` when it is asked: tools need no .proto files. */
export function mountReflection(server: RpcServer): void {
  let loading: Promise<DescriptorIndex> | undefined;
  async function* answerAll(
    requests: AsyncIterable<ServerReflectionRequest>,
  ): AsyncGenerator<ServerReflectionResponse, void, undefined> {
    // Loaded for the first who asks: descriptors are the larger part of a start, and most processes are never asked.
    loading ??= import('./descriptor-index.js').then(({ loadDescriptors }) => loadDescriptors());
    const index = await loading;
    for await (const request of requests) yield answer(request, index, server.services);
  }
  server.mount(V1, { serverReflectionInfo: answerAll });
  // The same messages under another name.
  server.mount(V1Alpha, { serverReflectionInfo: answerAll });
}

function answer(request: ServerReflectionRequest, index: DescriptorIndex, services: readonly string[]): ServerReflectionResponse {
  const respond = (messageResponse: ServerReflectionResponse['messageResponse']) => ({
    validHost: request.host,
    originalRequest: request,
    messageResponse,
  });
  const files = (file: FileDescriptorProto | undefined, what: string) =>
    file === undefined
      ? notFound(what)
      : ({ $case: 'fileDescriptorResponse', value: { fileDescriptorProto: index.withImports(file) } } as const);
  const asked = request.messageRequest;
  switch (asked?.$case) {
    case 'listServices':
      return respond({ $case: 'listServicesResponse', value: { service: [...services].sort().map((name) => ({ name })) } });
    case 'fileByFilename':
      return respond(files(index.byName(asked.value), `file "${asked.value}"`));
    case 'fileContainingSymbol':
      return respond(files(index.bySymbol(asked.value), `symbol "${asked.value}"`));
    case 'allExtensionNumbersOfType':
      return respond(
        index.bySymbol(asked.value) === undefined
          ? notFound(`type "${asked.value}"`)
          : { $case: 'allExtensionNumbersResponse', value: { baseTypeName: asked.value, extensionNumber: [] } },
      );
    case 'fileContainingExtension':
      return respond(notFound('extension'));
    case undefined:
      return respond({
        $case: 'errorResponse',
        value: { errorCode: status.INVALID_ARGUMENT, errorMessage: 'message_request: is required' },
      });
  }
}

function notFound(what: string) {
  return { $case: 'errorResponse', value: { errorCode: status.NOT_FOUND, errorMessage: `${what} is not known here` } } as const;
}
