import type { FieldViolation } from './errors.js';

const MAX_CHARS = 255;
const TOPIC = /^[a-zA-Z0-9_-]{1,63}(\.[a-zA-Z0-9_-]{1,63}){0,15}$/;
const PATTERN = /^(?=[^.]+(\.[^.]+){0,15}$)(([a-zA-Z0-9_-]{1,63}|\*)\.)*([a-zA-Z0-9_-]{1,63}|\*|>)$/;
const RULE = 'must be 1 to 16 names of 1 to 63 of a-z, A-Z, 0-9, "_", "-", with "." between, at most 255 characters together';

/** Stands for exactly one name in a pattern. */
export const ANY_NAME = '*';
/** At the end of a pattern, stands for one or more names. */
export const ANY_NAMES = '>';

/** What is wrong with `topic` as the topic in `field`; undefined when nothing is. */
export function topicViolation(field: string, topic: string): FieldViolation | undefined {
  return topic.length <= MAX_CHARS && TOPIC.test(topic) ? undefined : violation(field, topic, RULE);
}

/** What is wrong with `pattern` as the pattern of topics in `field`; undefined when nothing is. */
export function patternViolation(field: string, pattern: string): FieldViolation | undefined {
  if (pattern.length <= MAX_CHARS && PATTERN.test(pattern)) return undefined;
  return violation(field, pattern, `${RULE}; "*" stands for one name, ">" at the end for one or more`);
}

/** Whether a pattern stands for one topic only: itself. */
export function isTopic(pattern: string): boolean {
  return !pattern.includes(ANY_NAME) && !pattern.includes(ANY_NAMES);
}

/** Whether `topic` is one of those that `pattern` stands for. Both are valid. */
export function matches(pattern: string, topic: string): boolean {
  const wanted = pattern.split('.');
  const names = topic.split('.');
  const isOpen = wanted.at(-1) === ANY_NAMES;
  if (isOpen ? names.length < wanted.length : names.length !== wanted.length) return false;
  return wanted.every((want, index) => want === ANY_NAME || want === ANY_NAMES || want === names[index]);
}

function violation(field: string, value: string, rule: string): FieldViolation {
  return { field, description: value === '' ? `is required; ${rule}` : rule };
}
