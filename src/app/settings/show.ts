import type { Setting } from './setting.js';

/** Beyond this, a value in a message is cut. */
const MOST_CHARACTERS = 80;
export const MASK = '***';

/** A value that somebody gave, right or wrong, for a message: in quotes, cut, and without what is secret. */
export function quoted(setting: Pick<Setting, 'secret'>, given: unknown): string {
  if (setting.secret) return MASK;
  const text = withoutCredentials(asJson(given));
  return text.length > MOST_CHARACTERS ? `${text.slice(0, MOST_CHARACTERS)}…` : text;
}

/** JSON has no word for what YAML calls `.inf` and `.nan`. */
function asJson(given: unknown): string {
  if (typeof given === 'number') return String(given);
  const named = (_key: string, value: unknown) => (typeof value === 'number' && !Number.isFinite(value) ? String(value) : value);
  return JSON.stringify(given, named) ?? String(given);
}

/** A value that a setting has, as one would give it by a flag; `undefined` as it is. */
export function shown(setting: Setting, value: unknown): string | undefined {
  if (value === undefined) return undefined;
  return setting.secret ? MASK : withoutCredentials(setting.kind.show(value));
}

/** `http://user:password@host` has no place in any setting, but may have been given. */
function withoutCredentials(text: string): string {
  return text.replace(/\/\/[^/@\s"]*@/g, `//${MASK}@`);
}
