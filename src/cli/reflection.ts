import { create, createFileRegistry, type DescMethod, type DescService, type FileRegistry, fromBinary } from '@bufbuild/protobuf';
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { type Channel, status } from '@grpc/grpc-js';
import type { Client } from 'nice-grpc';
import { type ErrorCode, TroupeError } from '../core/errors.js';
import {
  ServerReflectionDefinition,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from '../gen/grpc/reflection/v1/reflection.js';
import { createClient, type TimeoutOption } from '../rpc/client.js';

const TIMEOUT_MS = 10_000;
/** A server that names ever new imports is not followed for ever. */
const MAX_FILES = 1_000;
const NO_ANSWER = 'the server did not answer what reflection asked';

type Question = NonNullable<ServerReflectionRequest['messageRequest']>;
type Answer = NonNullable<ServerReflectionResponse['messageResponse']>;

/** What an address serves, asked through grpc.reflection.v1. */
export class Reflection {
  private readonly client: Client<typeof ServerReflectionDefinition, TimeoutOption>;
  private readonly files = new Map<string, FileDescriptorProto>();

  constructor(channel: Channel) {
    this.client = createClient(ServerReflectionDefinition, channel);
  }

  /** Full names, sorted. */
  async serviceNames(): Promise<readonly string[]> {
    const answer = await this.ask({ $case: 'listServices', value: '' });
    if (answer?.$case !== 'listServicesResponse') throw malformed(NO_ANSWER);
    return answer.value.service.map(({ name }) => name).sort();
  }

  /** The service with all types that it uses. */
  async service(name: string): Promise<{ readonly service: DescService; readonly types: FileRegistry }> {
    const given = this.keep(await this.filesFor({ $case: 'fileContainingSymbol', value: name }));
    const file = given.find((each) => definesService(each, name));
    if (file === undefined) throw malformed(`the files that the server gave for ${name} do not define it`);
    await this.loadImports(file);
    const types = createFileRegistry(create(FileDescriptorSetSchema, { file: [...this.importsFirst(file)] }));
    const service = types.getService(name);
    if (service === undefined) throw malformed(`${name} cannot be read from ${file.name}`);
    return { service, types };
  }

  /** Some servers give imports along, others have to be asked for each. */
  private async loadImports(file: FileDescriptorProto): Promise<void> {
    const needed = new Set(file.dependency);
    for (const path of needed) {
      if (needed.size > MAX_FILES) throw malformed(`${file.name} imports more than ${MAX_FILES} files`);
      if (!this.files.has(path)) this.keep(await this.filesFor({ $case: 'fileByFilename', value: path }));
      for (const next of this.files.get(path)?.dependency ?? []) needed.add(next);
    }
  }

  /** The file after everything that it imports, each once: the order in which the registry wants them. */
  private *importsFirst(file: FileDescriptorProto, seen = new Set<string>()): Iterable<FileDescriptorProto> {
    if (seen.has(file.name)) return;
    seen.add(file.name);
    for (const path of file.dependency) {
      const imported = this.files.get(path);
      if (imported !== undefined) yield* this.importsFirst(imported, seen);
    }
    yield file;
  }

  private keep(encoded: readonly Uint8Array[]): readonly FileDescriptorProto[] {
    const files = encoded.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
    for (const file of files) this.files.set(file.name, file);
    return files;
  }

  private async filesFor(question: Question): Promise<readonly Uint8Array[]> {
    const answer = await this.ask(question);
    if (answer?.$case !== 'fileDescriptorResponse') throw malformed(NO_ANSWER);
    return answer.value.fileDescriptorProto;
  }

  private async ask(question: Question): Promise<Answer | undefined> {
    const requests = (async function* once() {
      yield { host: '', messageRequest: question };
    })();
    for await (const { messageResponse: answer } of this.client.serverReflectionInfo(requests, { timeoutMs: TIMEOUT_MS })) {
      if (answer?.$case !== 'errorResponse') return answer;
      const code = (status[answer.value.errorCode] ?? 'UNKNOWN') as ErrorCode;
      throw new TroupeError(code, code, answer.value.errorMessage);
    }
    return undefined;
  }
}

/** `/troupe.v1.Tasks/Run`. */
export function pathOf(method: DescMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function definesService(file: FileDescriptorProto, name: string): boolean {
  const scope = file.package === '' ? '' : `${file.package}.`;
  return file.service.some((service) => scope + service.name === name);
}

function malformed(message: string): TroupeError {
  return new TroupeError('INTERNAL', 'MALFORMED_MESSAGE', message);
}
