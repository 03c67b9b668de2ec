import { type FieldViolation, invalidFields } from '../core/errors.js';
import { idViolation } from '../core/ids.js';
import type { JsonObject } from '../core/json.js';

/** What a live agent was activated from: everything that was left open is what its kind declares. */
export interface AgentManifest {
  /** Unique in the cluster. */
  readonly id: string;
  readonly kind: string;
  readonly capabilities: readonly string[];
  readonly config: JsonObject;
  /** Tasks that it works on at once, 1 to 10,000. */
  readonly concurrency: number;
  /** Tasks that may wait for it, 1 to 100,000. */
  readonly mailboxCapacity: number;
  /** Its share under weighted strategies, 1 to 1000. */
  readonly weight: number;
  /** Whether it works on fewer tasks at once than `concurrency` allows while more only make each of them slower. */
  readonly adaptiveConcurrency: boolean;
  readonly metadata: Readonly<Record<string, string>>;
}

/** The order to activate an agent. What is not given is what its kind declares, as are no capabilities; a weight of 1. */
export type ManifestInput = Pick<AgentManifest, 'id' | 'kind'> & {
  readonly [Field in keyof Omit<AgentManifest, 'id' | 'kind'>]?: AgentManifest[Field] | undefined;
};

/** Gives back a manifest whose numbers are right; 0 is wrong, and not "not given". @throws INVALID_ARGUMENT naming every wrong field. */
export function checkManifest<M extends ManifestInput>(manifest: M): M {
  const violations = sizeViolations('', manifest);
  if (violations.length > 0) throw invalidFields(violations);
  return manifest;
}

/** What is wrong with the numbers that are given; `prefix` goes before the fields' names, which the wire spells in its own way. */
export function sizeViolations(prefix: string, manifest: Sizes, mailboxName = 'mailboxCapacity'): FieldViolation[] {
  const { concurrency, mailboxCapacity, weight } = manifest;
  return [
    concurrency === undefined ? undefined : limitViolation(`${prefix}concurrency`, concurrency, MAX_CONCURRENCY),
    mailboxCapacity === undefined ? undefined : limitViolation(`${prefix}${mailboxName}`, mailboxCapacity, MAX_MAILBOX_CAPACITY),
    weight === undefined ? undefined : limitViolation(`${prefix}weight`, weight, MAX_WEIGHT),
  ].filter((violation) => violation !== undefined);
}

type Sizes = Pick<ManifestInput, 'concurrency' | 'mailboxCapacity' | 'weight'>;

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
