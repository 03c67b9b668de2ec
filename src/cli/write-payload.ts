import { Buffer, isUtf8 } from 'node:buffer';
import { assertNever } from '../core/assert-never.js';
import { isTroupeError } from '../core/errors.js';
import { type Payload, payloadText } from '../core/payload.js';
import type { CliIo } from './io.js';
import { jsonLine, printable, printableLines } from './printable.js';

/** Prints a payload: indented and with a newline at its end for a terminal, as it is for programs. */
export function writePayload(io: CliIo, payload: Payload): void {
  switch (payload.kind) {
    case 'empty':
      return;
    case 'json':
      io.stdout(jsonLine(payload.json, io.isTTY ? 2 : 0));
      return;
    case 'text':
      writeText(io, payload.text);
      return;
    case 'data':
      if (!io.isTTY) io.stdout(payload.data);
      else if (isText(payload.data)) writeText(io, payloadText(payload));
      else io.stderr(`${printable(describe(payload))}: not for a terminal; redirect it to a file\n`);
      return;
    default:
      assertNever(payload);
  }
}

/** A payload inside of an object for programs; bytes in base64. */
export function payloadObject(payload: Payload) {
  switch (payload.kind) {
    case 'empty':
      return {};
    case 'data':
      return { data: Buffer.from(payload.data).toString('base64'), ...contentType(payload) };
    case 'json':
      return { json: payload.json, ...contentType(payload) };
    case 'text':
      return { text: payload.text, ...contentType(payload) };
    default:
      return assertNever(payload);
  }
}

/** The payload of something that came, as payloadObject; null where what was sent is no payload. */
export function readablePayload(message: { readonly payload: Payload }) {
  try {
    return payloadObject(message.payload);
  } catch (error) {
    if (!isTroupeError(error)) throw error;
    return null;
  }
}

function contentType(payload: Exclude<Payload, { kind: 'empty' }>) {
  return payload.contentType === undefined ? {} : { contentType: payload.contentType };
}

/** As it is for programs; for people it must not act on their terminal. */
function writeText(io: CliIo, text: string): void {
  if (!io.isTTY) io.stdout(text);
  else io.stdout(`${printableLines(text)}${text.endsWith('\n') ? '' : '\n'}`);
}

/** Whether bytes can be shown: UTF-8 without the control characters that files of other kinds have. */
function isText(data: Uint8Array): boolean {
  return isUtf8(data) && !data.some((byte) => byte < 32 && byte !== 9 && byte !== 10 && byte !== 13);
}

function describe({ data, contentType: type }: Extract<Payload, { kind: 'data' }>): string {
  return `${data.length} bytes of ${type ?? 'data'}`;
}
