import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { descriptorSetBase64 } from '../gen/descriptors.js';

/** Descriptor files by name and by every symbol that they define. */
export class DescriptorIndex {
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

/** Those of the contracts. */
export function loadDescriptors(): DescriptorIndex {
  return new DescriptorIndex(Buffer.from(descriptorSetBase64, 'base64'));
}
