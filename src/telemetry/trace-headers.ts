import { validTraceparent } from './trace-context.js';

/** What goes from process to process of a trace, as it came: headers of W3C Trace Context, and of W3C Baggage (https://www.w3.org/TR/baggage/). */
export interface TraceHeaders {
  readonly traceparent: string | undefined;
  /** What tracing systems add to `traceparent`: nothing without that. */
  readonly tracestate?: string | undefined;
  /** What users have to say to all that a call leads to. */
  readonly baggage?: string | undefined;
}

/** The same as a caller gives them: each that its specification says to ignore is. */
export interface TraceOptions {
  /** W3C trace context to go on with. */
  readonly traceparent?: string | undefined;
  /** W3C `tracestate` that belongs to this `traceparent`: at most 512 characters, 32 members. */
  readonly tracestate?: string | undefined;
  /** W3C baggage, for all that this leads to: at most 8,192 bytes, 64 members. */
  readonly baggage?: string | undefined;
}

/** What a list of members may have. */
interface Bounds {
  readonly bytes: number;
  readonly members: number;
  readonly member: RegExp;
}

const TRACESTATE: Bounds = { bytes: 512, members: 32, member: /^ *([a-z0-9][a-z0-9_*/@-]{0,255}=[ -+\--<>-~]{1,256})?$/ };
/** The specification asks for printable ASCII without quotes and backslashes in values; what others write is passed on as well. */
export const MAX_BAGGAGE_BYTES = 8192;
const BAGGAGE: Bounds = { bytes: MAX_BAGGAGE_BYTES, members: 64, member: /^ *[!#-'*+.^_`|~0-9A-Za-z-]+ *=[ -~]*$/ };

/** The headers that `read` gives by name. Each that its specification says to ignore is left out; undefined where nothing is left. */
export function traceHeadersOf(read: (name: keyof TraceHeaders) => string | undefined): TraceHeaders | undefined {
  const traceparent = validTraceparent(read('traceparent'));
  const baggage = valid(read('baggage'), BAGGAGE);
  if (traceparent === undefined && baggage === undefined) return undefined;
  return { traceparent, tracestate: traceparent === undefined ? undefined : valid(read('tracestate'), TRACESTATE), baggage };
}

/** What is given, and what is around for the rest; a `traceparent` that is given does not get the `tracestate` around. */
export function traceWithin(given: TraceOptions, around: TraceHeaders | undefined): TraceHeaders | undefined {
  if (given.traceparent === undefined && given.tracestate === undefined && given.baggage === undefined) return around;
  const isOwn = given.traceparent !== undefined;
  const all = {
    traceparent: isOwn ? given.traceparent : around?.traceparent,
    tracestate: isOwn ? given.tracestate : (given.tracestate ?? around?.tracestate),
    baggage: given.baggage ?? around?.baggage,
  };
  return traceHeadersOf((name) => all[name]);
}

/** Those that are there, by name: for metadata of a call. */
export function traceEntries({ traceparent, tracestate, baggage }: TraceHeaders): [name: string, value: string][] {
  const entries: [string, string][] = [];
  if (traceparent !== undefined) entries.push(['traceparent', traceparent]);
  if (tracestate !== undefined) entries.push(['tracestate', tracestate]);
  if (baggage !== undefined) entries.push(['baggage', baggage]);
  return entries;
}

/** The same as an author of agents sees them. */
export function traceRecord(trace: TraceHeaders | undefined): Readonly<Record<string, string>> {
  return trace === undefined ? {} : Object.fromEntries(traceEntries(trace));
}

/** Adds them to the headers of a message, up to `most` of these; what the message has of its own stays, and a `traceparent` with its `tracestate`. */
export function addTraceHeaders(headers: Map<string, string>, trace: TraceHeaders, most: number): void {
  const hasTrace = headers.has('traceparent');
  for (const [name, value] of traceEntries(trace))
    if (headers.size < most && !headers.has(name) && (name === 'baggage' || !hasTrace)) headers.set(name, value);
}

function valid(header: string | undefined, { bytes, members, member }: Bounds): string | undefined {
  if (header === undefined || header === '' || header.length > bytes) return undefined;
  const all = header.split(',');
  return all.length <= members && all.every((each) => member.test(each)) ? header : undefined;
}
