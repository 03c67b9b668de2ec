import { BinaryReader, type BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { TroupeError } from '../../core/errors.js';
import type { Json } from '../../core/json.js';

/**
 * google.protobuf.Value to and from JSON, by hand: the generated code recurses without a bound and lets a key `__proto__` set a prototype.
 * Field numbers: struct.proto.
 */

/** Deeper values are refused; protobuf implementations stop at 100 levels of messages as well. */
const MAX_DEPTH = 100;

export function decodeJson(bytes: Uint8Array): Json {
  const reader = new BinaryReader(bytes);
  return readValue(reader, reader.len, 0);
}

export function writeJson(writer: BinaryWriter, value: Json): void {
  writeValue(writer, value, 0);
}

function readValue(reader: BinaryReader, end: number, depth: number): Json {
  if (depth > MAX_DEPTH) throw tooDeep();
  let value: Json = null;
  while (reader.pos < end) {
    const [field, wireType] = reader.tag();
    if (field === 1 && wireType === WireType.Varint) {
      reader.int32();
      value = null;
    } else if (field === 2 && wireType === WireType.Bit64) value = reader.double();
    else if (field === 3 && wireType === WireType.LengthDelimited) value = reader.string(true);
    else if (field === 4 && wireType === WireType.Varint) value = reader.bool();
    else if (field === 5 && wireType === WireType.LengthDelimited) value = readStruct(reader, endOf(reader), depth + 1);
    else if (field === 6 && wireType === WireType.LengthDelimited) value = readList(reader, endOf(reader), depth + 1);
    else reader.skip(wireType, field);
  }
  requireEnd(reader, end);
  return value;
}

function readStruct(reader: BinaryReader, end: number, depth: number): Json {
  const entries: [string, Json][] = [];
  while (reader.pos < end) {
    const [field, wireType] = reader.tag();
    if (field === 1 && wireType === WireType.LengthDelimited) entries.push(readEntry(reader, endOf(reader), depth));
    else reader.skip(wireType, field);
  }
  requireEnd(reader, end);
  // Defines own properties, also for "__proto__".
  return Object.fromEntries(entries);
}

function readEntry(reader: BinaryReader, end: number, depth: number): [string, Json] {
  let key = '';
  let value: Json = null;
  while (reader.pos < end) {
    const [field, wireType] = reader.tag();
    if (field === 1 && wireType === WireType.LengthDelimited) key = reader.string(true);
    else if (field === 2 && wireType === WireType.LengthDelimited) value = readValue(reader, endOf(reader), depth);
    else reader.skip(wireType, field);
  }
  requireEnd(reader, end);
  return [key, value];
}

function readList(reader: BinaryReader, end: number, depth: number): Json {
  const items: Json[] = [];
  while (reader.pos < end) {
    const [field, wireType] = reader.tag();
    if (field === 1 && wireType === WireType.LengthDelimited) items.push(readValue(reader, endOf(reader), depth));
    else reader.skip(wireType, field);
  }
  requireEnd(reader, end);
  return items;
}

/** Where the nested message that starts here ends. */
function endOf(reader: BinaryReader): number {
  const length = reader.uint32();
  const end = reader.pos + length;
  if (end > reader.len) throw new RangeError('premature EOF');
  return end;
}

/** A message that ends where it says, not where its last field does, is malformed. */
function requireEnd(reader: BinaryReader, end: number): void {
  if (reader.pos !== end) throw new RangeError('a field is longer than its message');
}

function writeValue(writer: BinaryWriter, value: unknown, depth: number): void {
  if (depth > MAX_DEPTH) throw tooDeep();
  switch (typeof value) {
    case 'number':
      if (!Number.isFinite(value)) throw notJson(String(value));
      writer.tag(2, WireType.Bit64).double(value);
      return;
    case 'string':
      writer.tag(3, WireType.LengthDelimited).string(value);
      return;
    case 'boolean':
      writer.tag(4, WireType.Varint).bool(value);
      return;
    case 'object':
      if (value === null) writer.tag(1, WireType.Varint).int32(0);
      else if (Array.isArray(value)) writeList(writer, value, depth + 1);
      else if ('toJSON' in value && typeof value.toJSON === 'function') writeValue(writer, value.toJSON(), depth);
      else writeStruct(writer, value, depth + 1);
      return;
    default:
      throw notJson(typeof value);
  }
}

function writeStruct(writer: BinaryWriter, value: object, depth: number): void {
  writer.tag(5, WireType.LengthDelimited).fork();
  for (const [key, item] of Object.entries(value)) {
    if (item === undefined) continue;
    writer.tag(1, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(key);
    writer.tag(2, WireType.LengthDelimited).fork();
    writeValue(writer, item, depth);
    writer.join().join();
  }
  writer.join();
}

function writeList(writer: BinaryWriter, items: readonly unknown[], depth: number): void {
  writer.tag(6, WireType.LengthDelimited).fork();
  for (const item of items) {
    writer.tag(1, WireType.LengthDelimited).fork();
    writeValue(writer, item === undefined ? null : item, depth);
    writer.join();
  }
  writer.join();
}

function tooDeep(): TroupeError {
  return new TroupeError('INVALID_ARGUMENT', 'TOO_DEEP', `payload: JSON may be nested at most ${MAX_DEPTH} levels deep`);
}

function notJson(what: string): TroupeError {
  return new TroupeError('INVALID_ARGUMENT', 'NOT_JSON', `payload: ${what} is not a JSON value`);
}
