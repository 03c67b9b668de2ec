import { type FieldViolation, invalidArgument } from './errors.js';
import { type Random, randomName } from './random.js';

type Brand<Name extends string> = string & { readonly __brand: Name };

/** Names an instance within its service. Nodes and agents are instances. */
export type InstanceId = Brand<'InstanceId'>;
export type TaskId = Brand<'TaskId'>;

/** Ids, capabilities, services, zones and kinds: lower case, so that one spelling is the only one. */
export const ID_PATTERN = /^[a-z0-9][a-z0-9._-]{0,62}$/;
export const ID_RULE = 'must be 1 to 63 of a-z, 0-9, ".", "_", "-", and start with a letter or digit';

export function isId(value: string): boolean {
  return ID_PATTERN.test(value);
}

/** What is wrong with `value` as the id in `field`; undefined when nothing is. */
export function idViolation(field: string, value: string): FieldViolation | undefined {
  if (isId(value)) return undefined;
  return { field, description: value === '' ? `is required; ${ID_RULE}` : ID_RULE };
}

/** @throws TroupeError INVALID_ARGUMENT naming `field`. */
export function parseId<Id extends string>(field: string, value: string): Id {
  const violation = idViolation(field, value);
  if (violation !== undefined) throw invalidArgument(violation.field, violation.description);
  return value as Id;
}

/** `prefix-` and 12 random characters (62 bits). */
export function newId<Id extends string>(prefix: string, random: Random): Id {
  return `${prefix}-${randomName(random, 12)}` as Id;
}
