import { InvalidArgumentError } from 'commander';
import { ID_RULE, isId } from '../core/ids.js';
import { patternViolation, topicViolation } from '../core/topic.js';

/** Readers of option values. Each throws commander's InvalidArgumentError, which becomes wrong usage (exit code 2). */

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
const MAX_DURATION_MS = 3_600_000;

/** `500ms`, `30s`, `1.5m`, `1h` in milliseconds: above 0, at most 1 h, the longest that the contract knows. */
export function durationMs(text: string): number {
  const ms = graceMs(text);
  if (ms === 0) throw new InvalidArgumentError('It must be longer than 0.');
  return ms;
}

/** As durationMs, and 0 is allowed too. */
export function graceMs(text: string): number {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  if (amount === undefined || unit === undefined)
    throw new InvalidArgumentError('It must be a number and its unit, such as 500ms, 30s, 5m or 1h.');
  const ms = Math.round(Number(amount) * (UNITS_MS[unit] ?? 0));
  if (ms > MAX_DURATION_MS) throw new InvalidArgumentError('It must be at most 1h.');
  return ms;
}

/** A whole number of 1 to `most`. */
export function count(most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < 1 || value > most)
      throw new InvalidArgumentError(`It must be a whole number from 1 to ${most}.`);
    return value;
  };
}

/** A number of 0 or more, such as 12.5. */
export function amount(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || !Number.isFinite(value))
    throw new InvalidArgumentError('It must be a number, such as 100 or 12.5.');
  return value;
}

/** An id, a capability or a kind. */
export function id(text: string): string {
  if (!isId(text)) throw new InvalidArgumentError(`It ${ID_RULE}.`);
  return text;
}

const MAX_MESSAGE_ID_CHARS = 63;

/** A sender's own name for a message. */
export function messageId(text: string): string {
  if (text.length < 1 || text.length > MAX_MESSAGE_ID_CHARS)
    throw new InvalidArgumentError(`It must be 1 to ${MAX_MESSAGE_ID_CHARS} characters.`);
  return text;
}

/** A topic, without wildcards. */
export function topic(text: string): string {
  const violation = topicViolation('topic', text);
  if (violation !== undefined) throw new InvalidArgumentError(`It ${violation.description}.`);
  return text;
}

/** Topics that are subscribed to, wildcards among them. */
export function morePatterns(text: string, before: readonly string[] = []): readonly string[] {
  const violation = patternViolation('topic', text);
  if (violation !== undefined) throw new InvalidArgumentError(`It ${violation.description}.`);
  return [...before, text];
}

/** Names, separated by commas. */
export function ids(text: string): readonly string[] {
  return text.split(',').map((name) => id(name.trim()));
}

/** Names from an option that may be given several times, each with several names. */
export function moreIds(text: string, before: readonly string[] = []): readonly string[] {
  return [...before, ...ids(text)];
}

/** Adds `key=value`; of the same key the last one counts. */
export function entry(text: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It must be key=value.');
  return Object.fromEntries([...Object.entries(before), [text.slice(0, at), text.slice(at + 1)]]);
}

/** A JSON value. */
export function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new InvalidArgumentError(`It must be JSON: ${(error as SyntaxError).message}.`);
  }
}

/** A JSON object. */
export function jsonObject(text: string): Readonly<Record<string, unknown>> {
  const value = json(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InvalidArgumentError('It must be a JSON object, such as {"key": "value"}.');
  return value as Readonly<Record<string, unknown>>;
}
