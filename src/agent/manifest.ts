import type { FieldViolation } from '../core/errors.js';
import { idViolation } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';

/** The order from which a node activates an agent; zero and empty mean: what the kind declares. */
export interface AgentManifest {
  /** Unique in the cluster. */
  readonly id: string;
  readonly kind: string;
  readonly capabilities: readonly string[];
  readonly config: JsonObject;
  readonly concurrency: number;
  readonly mailboxCapacity: number;
  readonly weight: number;
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a manifest needs to say; the rest is what its kind declares. */
export type ManifestInput = Pick<AgentManifest, 'id' | 'kind'> & Partial<AgentManifest>;

export function completeManifest(manifest: ManifestInput): AgentManifest {
  return { capabilities: [], config: {}, concurrency: 0, mailboxCapacity: 0, weight: 0, metadata: {}, ...manifest };
}

export const DEFAULT_CONCURRENCY = 1;
export const DEFAULT_MAILBOX_CAPACITY = 100;
export const MAX_CONCURRENCY = 10_000;
export const MAX_MAILBOX_CAPACITY = 100_000;
export const MAX_CAPABILITIES = 64;
export const MAX_ENTRIES = 64;
export const MAX_ENTRY_BYTES = 1024;
export const MAX_WEIGHT = 1000;

/** Undefined when `value` is an integer of 1 to `most`. */
export function limitViolation(field: string, value: number, most: number): FieldViolation | undefined {
  return Number.isInteger(value) && value >= 1 && value <= most
    ? undefined
    : { field, description: `must be a whole number from 1 to ${most}` };
}

/** What is wrong with a set of capability names: form, number, duplicates. */
export function capabilityViolations(field: string, names: readonly string[]): FieldViolation[] {
  if (names.length > MAX_CAPABILITIES)
    return [{ field, description: `at most ${MAX_CAPABILITIES} are allowed, got ${names.length}` }];
  const violations: FieldViolation[] = [];
  const seen = new Set<string>();
  names.forEach((name, index) => {
    const violation = idViolation(`${field}[${index}]`, String(name));
    if (violation !== undefined) violations.push(violation);
    else if (seen.has(name)) violations.push({ field: `${field}[${index}]`, description: `"${name}" is given twice` });
    seen.add(name);
  });
  return violations;
}

/** What is wrong with metadata or labels: number and size. */
export function entryViolations(field: string, entries: Iterable<readonly [string, string]>): FieldViolation[] {
  const violations: FieldViolation[] = [];
  let count = 0;
  for (const [key, value] of entries) {
    count += 1;
    if (count > MAX_ENTRIES) return [{ field, description: `at most ${MAX_ENTRIES} entries are allowed` }];
    if (key === '' || Buffer.byteLength(key) > 255) violations.push({ field, description: 'a key must be 1 to 255 bytes' });
    if (Buffer.byteLength(value) > MAX_ENTRY_BYTES)
      violations.push({ field: `${field}["${key.slice(0, 64)}"]`, description: `must be at most ${MAX_ENTRY_BYTES} bytes` });
  }
  return violations;
}
