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

/**
 * Headers of traces that begin in this process and are not sampled: their ids only tie log lines together, so they are a random part of the
 * process and a number, which costs a tenth of random ids.
 */
export class UnsampledTraces {
  private readonly prefix: string;
  private count = 0;

  constructor(random: Random) {
    // Whatever the number, the ids are not all zeros, which the specification forbids.
    this.prefix = `1${hex(random, 24).slice(1)}`;
  }

  next(): string {
    this.count = (this.count + 1) % 2 ** 32;
    const number = this.count.toString(16).padStart(8, '0');
    return `00-${this.prefix}${number}-${this.prefix.slice(0, 8)}${number}-00`;
  }
}

/** Whether a header says in so many words that its trace is not sampled: found out without reading all of it, since most say so. */
export function isUnsampled(header: string): boolean {
  return (
    header.length === LENGTH &&
    header.startsWith('00-') &&
    header.charCodeAt(LENGTH - 2) === ZERO &&
    header.charCodeAt(LENGTH - 1) === ZERO
  );
}

const LENGTH = 55;
const ZERO = 0x30;
const DIGITS_AT_ONCE = 8;

function hex(random: Random, digits: number): string {
  let text = '';
  for (let i = 0; i < digits; i += DIGITS_AT_ONCE)
    text += randomInt(random, 2 ** 32)
      .toString(16)
      .padStart(DIGITS_AT_ONCE, '0');
  return text;
}
