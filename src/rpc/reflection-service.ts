import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { status } from '@grpc/grpc-js';
import { descriptorSetBase64 } from '../gen/descriptors.js';
import {
  type ServerReflectionRequest,
  type ServerReflectionResponse,
  ServerReflectionDefinition as V1,
} from '../gen/grpc/reflection/v1/reflection.js';
import { ServerReflectionDefinition as V1Alpha } from '../gen/grpc/reflection/v1alpha/reflection.js';
import type { RpcServer } from './server.js';

/** Serves the reflection protocol, v1 and v1alpha, for what is mounted on `server` when it is asked: tools need no .proto files. */
export function mountReflection(server: RpcServer): void {
  let index: FileIndex | undefined;
  async function* answerAll(
    requests: AsyncIterable<ServerReflectionRequest>,
  ): AsyncGenerator<ServerReflectionResponse, void, undefined> {
    index ??= new FileIndex(Buffer.from(descriptorSetBase64, 'base64'));
    for await (const request of requests) yield answer(request, index, server.services);
  }
  server.mount(V1, { serverReflectionInfo: answerAll });
  // The same messages under another name.
  server.mount(V1Alpha, { serverReflectionInfo: answerAll });
}

function answer(request: ServerReflectionRequest, index: FileIndex, services: readonly string[]): ServerReflectionResponse {
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

/** Descriptor files by name and by every symbol that they define. */
class FileIndex {
  private readonly names = new Map<string, FileDescriptorProto>();
  private readonly symbols = new Map<string, FileDescriptorProto>();
  private readonly encoded = new Map<string, Buffer>();

  constructor(descriptorSet: Uint8Array) {
    for (const file of fromBinary(FileDescriptorSetSchema, descriptorSet).file) {
      this.names.set(file.name, file);
      for (const symbol of symbolsOf(file)) this.symbols.set(symbol, file);
    }
  }

  byName(name: string): FileDescriptorProto | undefined {
    return this.names.get(name);
  }

  bySymbol(symbol: string): FileDescriptorProto | undefined {
    return this.symbols.get(symbol);
  }

  /** The file and, after it, everything that it imports: some clients ask only once. */
  withImports(file: FileDescriptorProto): Buffer[] {
    const seen = new Set<FileDescriptorProto>([file]);
    for (const next of seen) {
      for (const name of next.dependency) {
        const imported = this.names.get(name);
        if (imported !== undefined) seen.add(imported);
      }
    }
    return [...seen].map((each) => this.bytesOf(each));
  }

  private bytesOf(file: FileDescriptorProto): Buffer {
    let bytes = this.encoded.get(file.name);
    if (bytes === undefined) {
      bytes = Buffer.from(toBinary(FileDescriptorProtoSchema, file));
      this.encoded.set(file.name, bytes);
    }
    return bytes;
  }
}

function* symbolsOf(file: FileDescriptorProto): Iterable<string> {
  const scope = file.package === '' ? '' : `${file.package}.`;
  for (const message of file.messageType) yield* symbolsOfMessage(message, scope);
  for (const each of file.enumType) yield* symbolsOfEnum(each, scope);
  for (const service of file.service) {
    yield scope + service.name;
    for (const method of service.method) yield `${scope}${service.name}.${method.name}`;
  }
}

function* symbolsOfMessage(message: DescriptorProto, scope: string): Iterable<string> {
  const name = scope + message.name;
  yield name;
  for (const field of message.field) yield `${name}.${field.name}`;
  for (const oneof of message.oneofDecl) yield `${name}.${oneof.name}`;
  for (const nested of message.nestedType) yield* symbolsOfMessage(nested, `${name}.`);
  for (const each of message.enumType) yield* symbolsOfEnum(each, `${name}.`);
}

/** Values of an enum live beside it, not in it (as in C++). */
function* symbolsOfEnum(each: EnumDescriptorProto, scope: string): Iterable<string> {
  yield scope + each.name;
  for (const value of each.value) yield scope + value.name;
}
