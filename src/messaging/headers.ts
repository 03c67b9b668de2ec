import { type FieldViolation, invalidFields } from '../core/errors.js';

export const NO_HEADERS: ReadonlyMap<string, string> = new Map();
export const MAX_HEADERS = 16;
const MAX_KEY_BYTES = 255;
const MAX_VALUE_BYTES = 1024;

/** The headers of a message. @throws INVALID_ARGUMENT naming what is wrong. */
export function headersOf(
  given: Readonly<Record<string, string>> | undefined,
  traceparent: string | undefined,
): ReadonlyMap<string, string> {
  if (given === undefined && traceparent === undefined) return NO_HEADERS;
  const headers = new Map(Object.entries(given ?? {}));
  const wrong = headerViolations('headers', headers);
  if (wrong.length > 0) throw invalidFields(wrong);
  if (traceparent !== undefined && !headers.has('traceparent')) headers.set('traceparent', traceparent);
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
    if (typeof value !== 'string' || Buffer.byteLength(value) > MAX_VALUE_BYTES)
      violations.push({
        field: `${field}["${key.slice(0, 64)}"]`,
        description: `must be text of at most ${MAX_VALUE_BYTES} bytes`,
      });
  }
  return violations;
}
