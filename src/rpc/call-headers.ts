import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type * as grpc from '@grpc/grpc-js';
import { MAX_TIMER_MS } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import { toStatusObject } from './status.js';

export const MAX_METADATA_BYTES = 16 * 1024;

const TIMEOUT_HEADER = 'grpc-timeout';
/** TimeoutValue and TimeoutUnit of the protocol (PROTOCOL-HTTP2.md). */
const TIMEOUT = /^(\d{1,8})([HMSmun])$/;
const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 };
const LONGEST = `${Math.floor(MAX_TIMER_MS / 1_000)}S`;

/** A timeout that grpc-js reads as it was meant: the same, or the longest that a timer knows; undefined when it is malformed. */
export function readableTimeout(timeout: string): string | undefined {
  const [, value, unit] = TIMEOUT.exec(timeout) ?? [];
  if (value === undefined || unit === undefined) return undefined;
  return Number(value) * (UNIT_MS[unit] ?? 0) > MAX_TIMER_MS ? LONGEST : timeout;
}

/**
 * Looks at the headers of calls before grpc-js does, which takes a timeout of "-5S" for 5 s, answers "abc" with INTERNAL, lets large
 * ones wrap round 32 bits, so that 99999999H has passed at once, and only asks its peers to keep metadata small. It offers no place for
 * that: its own listener is wrapped. Call once it is bound.
 */
export function checkHeaders(server: grpc.Server): void {
  const http2Servers = Reflect.get(server, 'http2Servers') as ReadonlyMap<Http2Server, unknown>;
  for (const http2Server of http2Servers.keys()) {
    const listeners = http2Server.listeners('stream');
    http2Server.removeAllListeners('stream');
    http2Server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, raw: readonly string[]) => {
      const problem = problemOf(headers, raw);
      if (problem !== undefined) return refuse(stream, problem);
      for (const listener of listeners) listener.call(http2Server, stream, headers, flags, raw);
    });
  }
}

/** Names and values in turn, with the 32 bytes of overhead that HTTP/2 counts for each field (RFC 9113, 6.5.2). */
function sizeOf(raw: readonly string[]): number {
  return raw.reduce((sum, text) => sum + text.length + 16, 0);
}

/** What is wrong with the headers; where nothing is, they hold a timeout that grpc-js understands. */
function problemOf(headers: IncomingHttpHeaders, raw: readonly string[]): TroupeError | undefined {
  if (sizeOf(raw) > MAX_METADATA_BYTES) {
    return new TroupeError('RESOURCE_EXHAUSTED', 'METADATA_TOO_LARGE', `metadata: at most ${MAX_METADATA_BYTES} bytes are taken`);
  }
  const given = headers[TIMEOUT_HEADER];
  if (given === undefined) return undefined;
  const timeout = readableTimeout(String(given));
  if (timeout === undefined) {
    const rule = 'must be up to 8 digits and one of H, M, S, m, u, n';
    return new TroupeError('INVALID_ARGUMENT', 'MALFORMED_TIMEOUT', `${TIMEOUT_HEADER}: ${rule}`);
  }
  headers[TIMEOUT_HEADER] = timeout;
  return undefined;
}

function refuse(stream: ServerHttp2Stream, problem: TroupeError): void {
  const { code, details, metadata } = toStatusObject(problem);
  // Such a stream may be gone already: then nobody waits for an answer.
  stream.on('error', () => undefined);
  stream.resume();
  stream.respond(
    {
      ':status': 200,
      'content-type': 'application/grpc+proto',
      'grpc-status': code,
      'grpc-message': encodeURI(details),
      ...metadata.toHttp2Headers(),
    },
    { endStream: true },
  );
}
