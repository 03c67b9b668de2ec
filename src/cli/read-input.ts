import { open } from 'node:fs/promises';
import { extname } from 'node:path';
import type { Command } from 'commander';
import { messageOf, TroupeError } from '../core/errors.js';
import type { Json } from '../core/json.js';
import type { PayloadInput } from '../core/payload.js';
import type { CliIo } from './io.js';

/** Where a payload comes from. `-` stands for standard input everywhere. */
export interface InputOptions {
  readonly json?: string;
  readonly text?: string;
  readonly file?: string;
}

/** What one message may carry. */
const MAX_INPUT_BYTES = 4 * 1024 * 1024;

/**
 * The payload that --json, --text, --file or a bare `-` give; undefined for none. A file is JSON or text by its extension (.json,
 * .txt) and bytes otherwise; a bare `-` is JSON where it is JSON, text where it is UTF-8, and bytes otherwise.
 * @throws UsageError for JSON that is none; INVALID_ARGUMENT / CANNOT_READ for what cannot be read or is above 4 MiB.
 */
export async function readInput(io: CliIo, command: Command, options: InputOptions, bareStdin: boolean): Promise<PayloadInput> {
  const given = [
    ...(['json', 'text', 'file'] as const).filter((name) => options[name] !== undefined).map((name) => `--${name}`),
    ...(bareStdin ? ['-'] : []),
  ];
  if (given.length > 1) command.error(`give one of --json, --text, --file and -, not ${given.join(' and ')}`);
  const { json, text, file } = options;
  if (json !== undefined) return parseJson(command, json === '-' ? (await readStdin(io)).toString() : json);
  if (text !== undefined) return text === '-' ? (await readStdin(io)).toString() : text;
  if (file !== undefined) return file === '-' ? await readStdin(io) : await readFile(command, file);
  return bareStdin ? guess(await readStdin(io)) : undefined;
}

export function parseJson(command: Command, text: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    return command.error(`--json is not JSON: ${messageOf(error)}; quote it for the shell, as in --json '{"key": "value"}'`);
  }
}

export async function readStdin(io: CliIo): Promise<Buffer> {
  return await readAll(io.stdin ?? [], 'standard input');
}

async function readFile(command: Command, path: string): Promise<PayloadInput> {
  const bytes = await readFileBytes(path);
  switch (extname(path).toLowerCase()) {
    case '.json':
      try {
        return JSON.parse(bytes.toString()) as Json;
      } catch (error) {
        return command.error(`--file ${path} is not JSON: ${messageOf(error)}`);
      }
    case '.txt':
      return bytes.toString();
    default:
      return bytes;
  }
}

export async function readFileBytes(path: string): Promise<Buffer> {
  try {
    const file = await open(path);
    return await readAll(file.createReadStream(), path);
  } catch (error) {
    if (error instanceof TroupeError) throw error;
    throw cannotRead(`cannot read ${path}: ${messageOf(error)}`, error);
  }
}

async function readAll(source: AsyncIterable<string | Uint8Array> | Iterable<never>, name: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of source) {
    const buffer = Buffer.from(chunk);
    bytes += buffer.length;
    if (bytes > MAX_INPUT_BYTES) throw cannotRead(`${name} has more than the 4 MiB that a payload may have`);
    chunks.push(buffer);
  }
  return Buffer.concat(chunks);
}

function guess(bytes: Buffer): PayloadInput {
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return bytes;
  }
  try {
    return JSON.parse(text) as Json;
  } catch {
    return text;
  }
}

function cannotRead(message: string, cause?: unknown): TroupeError {
  return new TroupeError('INVALID_ARGUMENT', 'CANNOT_READ', message, { cause });
}
