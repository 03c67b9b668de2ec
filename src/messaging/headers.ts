import { MAX_HEADERS } from '../agent/messages.js';
import { type FieldViolation, invalidFields } from '../core/errors.js';
import { addTraceHeaders, MAX_BAGGAGE_BYTES, type TraceHeaders } from '../telemetry/trace-headers.js';

export const NO_HEADERS: ReadonlyMap<string, string> = new Map();
const MAX_KEY_BYTES = 255;
const MAX_VALUE_BYTES = 1024;

/** The headers of a message. @throws INVALID_ARGUMENT naming what is wrong. */
export function headersOf(
  given: Readonly<Record<string, string>> | undefined,
  trace: TraceHeaders | undefined,
): ReadonlyMap<string, string> {
  if (given === undefined && trace === undefined) return NO_HEADERS;
  const headers = new Map(Object.entries(given ?? {}));
  const wrong = headerViolations('headers', headers);
  if (wrong.length > 0) throw invalidFields(wrong);
  if (trace !== undefined) addTraceHeaders(headers, trace, MAX_HEADERS);
  return headers;
}

/** What is wrong with headers: number, keys, sizes. */
export function headerViolations(field: string, headers: ReadonlyMap<string, string>): FieldViolation[] {
  if (headers.size > MAX_HEADERS)
    return [{ field, description: `at most ${MAX_HEADERS} entries are allowed, got ${headers.size}` }];
  const violations: FieldViolation[] = [];
  for (const [key, value] of headers) {
    if (key === '' || Buffer.byteLength(key) > MAX_KEY_BYTES)
      violations.push({ field, description: `a key must be 1 to ${MAX_KEY_BYTES} bytes` });
    const most = key === 'baggage' ? MAX_BAGGAGE_BYTES : MAX_VALUE_BYTES;
    if (typeof value !== 'string' || Buffer.byteLength(value) > most)
      violations.push({
        field: `${field}["${key.slice(0, 64)}"]`,
        description: `must be text of at most ${most} bytes`,
      });
  }
  return violations;
}
