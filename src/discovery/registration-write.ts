import { isTroupeError } from '../core/errors.js';
import type { Instance, InstanceKey } from '../core/instance.js';
import type { Known, Registration } from './registration.js';

/** In one registration at most, so that it fits into one transaction of the store. */
export const PUT_AT_ONCE = 100;

/** One instance in a write. */
export interface Change {
  readonly key: InstanceKey;
  /** What it shall be; undefined: removed. */
  readonly instance: Instance | undefined;
  /** What was known of it before this was sent. */
  readonly before: Known;
}

/** What is to be sent in one call. */
export interface Write {
  readonly kind: Registration['kind'];
  readonly leaseId: bigint;
  readonly sentAtMs: number;
  readonly changes: readonly Change[];
}

/** What of that which is due goes into the next call: the first, and as many of the same kind as may. What was put together stays so. */
export function nextBatch(due: Iterable<Registration>): ReadonlySet<Registration> {
  const chosen = new Set<Registration>();
  let first: Registration | undefined;
  for (const each of due) {
    first ??= each;
    if (chosen.has(each)) continue;
    if (each.kind !== first.kind || (each.alone && each !== first)) continue;
    const together = each.put?.registrations ?? [each];
    if (chosen.size > 0 && chosen.size + together.length > PUT_AT_ONCE) break;
    for (const one of together) chosen.add(one);
    if (each.alone) break;
  }
  return chosen;
}

/** Whether a refusal is because of this one, which somebody else has registered. */
export function saysTaken(error: unknown, { service, id }: InstanceKey): boolean {
  return isTroupeError(error, 'ALREADY_REGISTERED') && error.metadata.service === service && error.metadata.id === id;
}

/** Whether a refusal says that what was to be changed is not there as is believed here; what was to be removed is somebody else's then. */
export function saysNotThere(error: unknown, kind: Write['kind']): boolean {
  return NOT_THERE[kind].some((reason) => isTroupeError(error, reason));
}

const NOT_THERE: Readonly<Record<Write['kind'], readonly string[]>> = {
  register: [],
  remove: ['NOT_THE_HOLDER'],
  status: ['UNKNOWN_INSTANCE', 'STATUS_TRANSITION'],
};
