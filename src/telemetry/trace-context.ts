import type { Random } from '../core/random.js';
import { randomInt } from '../core/random.js';

/** W3C Trace Context (https://www.w3.org/TR/trace-context/): what crosses process boundaries. */
export interface TraceContext {
  /** 32 hex digits. */
  readonly traceId: string;
  /** 16 hex digits: the caller's span. */
  readonly spanId: string;
  /** 2 hex digits; bit 0: sampled, bit 1: the trace id is random. */
  readonly flags: string;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
/** The others are reserved, and a participant sets them to zero. */
const KNOWN_FLAGS = 0b11;

/** The context of a `traceparent` header; undefined where the specification says to ignore it. */
export function parseTraceparent(header: string): TraceContext | undefined {
  const match = TRACEPARENT.exec(header);
  if (match === null) return undefined;
  const [, version, traceId, spanId, flags, rest] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string | undefined,
  ];
  if (version === 'ff' || (version === '00' && rest !== undefined)) return undefined;
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  return { traceId, spanId, flags: (Number.parseInt(flags, 16) & KNOWN_FLAGS).toString(16).padStart(2, '0') };
}

export function formatTraceparent(context: TraceContext): string {
  return `00-${context.traceId}-${context.spanId}-${context.flags}`;
}

/** A header as it came, which goes on unchanged where this process adds no span; undefined where the specification says to ignore it. */
export function validTraceparent(header: string | undefined): string | undefined {
  return header === undefined || parseTraceparent(header) === undefined ? undefined : header;
}

/** A trace that begins here and is not sampled: its ids still tie log lines together. */
export function newTrace(random: Random): TraceContext {
  return { traceId: hex(random, 32), spanId: hex(random, 16), flags: '00' };
}

function hex(random: Random, digits: number): string {
  let text = '';
  for (let i = 0; i < digits; i += 4) text += randomInt(random, 0x10000).toString(16).padStart(4, '0');
  return /^0+$/.test(text) ? `${text.slice(0, -1)}1` : text;
}
