import type { FieldViolation } from './errors.js';

const MAX_NAMES = 16;
const MAX_CHARS = 255;
const NAME = /^[A-Za-z0-9_-]{1,63}$/;
const TOPIC_RULE = `must be 1 to ${MAX_NAMES} names of 1 to 63 of a-z, A-Z, 0-9, "_", "-", with "." between them, at most ${MAX_CHARS} characters`;
const PATTERN_RULE = `${TOPIC_RULE}; "*" stands for one name, ">" at the end for one or more`;

/** What is wrong with `topic` as the topic in `field`; undefined when nothing is. */
export function topicViolation(field: string, topic: string): FieldViolation | undefined {
  return violation(field, topic, TOPIC_RULE, (name) => NAME.test(name));
}

/** What is wrong with `pattern` as a topic that is subscribed to; undefined when nothing is. */
export function patternViolation(field: string, pattern: string): FieldViolation | undefined {
  return violation(field, pattern, PATTERN_RULE, (name, isLast) => NAME.test(name) || name === '*' || (name === '>' && isLast));
}

function violation(field: string, text: string, rule: string, isName: (name: string, isLast: boolean) => boolean) {
  const names = text.length > MAX_CHARS ? [] : text.split('.');
  const isRight =
    names.length > 0 && names.length <= MAX_NAMES && names.every((name, at) => isName(name, at === names.length - 1));
  return isRight ? undefined : { field, description: text === '' ? `is required; ${rule}` : rule };
}
