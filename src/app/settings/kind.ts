import { HOST_PORT_RULE, isHostPort, isUnspecified } from '../../core/address.js';
import { ID_RULE, isId } from '../../core/ids.js';
import { MAX_PREFIX_BYTES } from '../../store/keys.js';

export type Parsed<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly why: string };

/** What a setting may be. All three sources go through `parse`, so that a value means the same wherever it stands. */
export interface Kind<T> {
  /** What it must be, as a sentence without its subject: `must be a whole number from 0 to 65535`. */
  readonly allowed: string;
  /** A flag or an environment variable, which is not empty. */
  parse(text: string): Parsed<T>;
  /** A value of a configuration file, which is neither null nor empty. */
  read(value: unknown): Parsed<T>;
  /** As one would give it by a flag. */
  show(value: T): string;
}

function kind<T>(
  allowed: string,
  parse: (text: string) => T | undefined,
  types: readonly ('string' | 'number' | 'boolean')[] = ['string'],
): Kind<T> {
  const refused: Parsed<T> = { ok: false, why: `it ${allowed}` };
  const parsed = (text: string): Parsed<T> => {
    const value = parse(text);
    return value === undefined ? refused : { ok: true, value };
  };
  return {
    allowed,
    parse: parsed,
    read: (value) => {
      if (types.some((type) => type === typeof value)) return parsed(String(value));
      // YAML reads 1.10 as 1.1 and 007 as 7: a name that looks like a number is not guessed at.
      const isText = (typeof value === 'number' || typeof value === 'boolean') && parsed(String(value)).ok;
      return isText ? { ok: false, why: `it ${allowed}, as a string: put it in quotes` } : refused;
    },
    show: String,
  };
}

export function wholeNumber(least: number, most: number): Kind<number> {
  const parse = (text: string) => (/^\d+$/.test(text) && inside(Number(text), least, most) ? Number(text) : undefined);
  return kind(`must be a whole number from ${least} to ${most}`, parse, ['string', 'number']);
}

export const port: Kind<number> = wholeNumber(0, 65_535);

export const portOrOff: Kind<number | 'off'> = kind(
  'must be a whole number from 0 to 65535, or off',
  (text) => {
    if (text === 'off') return text;
    const parsed = port.parse(text);
    return parsed.ok ? parsed.value : undefined;
  },
  ['string', 'number'],
);

/** A part of one. */
export const ratio: Kind<number> = kind(
  'must be a number from 0 to 1, such as 0.01',
  (text) => (/^\d*\.?\d+(e-\d+)?$/.test(text) && inside(Number(text), 0, 1) ? Number(text) : undefined),
  ['string', 'number'],
);

export function choice<const T extends string>(names: readonly T[]): Kind<T> {
  return kind(`must be one of ${names.join(', ')}`, (text) => names.find((name) => name === text));
}

const YES = ['true', '1', 'yes', 'on'];
const NO = ['false', '0', 'no', 'off'];

export const onOff: Kind<boolean> = kind(
  'must be true or false (1 and 0, yes and no, on and off will do)',
  (text) => {
    const word = text.toLowerCase();
    return YES.includes(word) ? true : NO.includes(word) ? false : undefined;
  },
  ['string', 'boolean'],
);

export const name: Kind<string> = kind(ID_RULE, (text) => (isId(text) ? text : undefined));

// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is refused.
const CONTROL = /[\u0000-\u001f\u007f]/;

export const text: Kind<string> = kind('must be text, not empty and without control characters', (given) =>
  given === '' || CONTROL.test(given) ? undefined : given,
);

const isHost = (given: string) => /^([^\s/:@]+|\[?[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.%\w]*\]?)$/.test(given);

/** Where to listen. */
export const host: Kind<string> = kind('must be a host name or an IP address, without a port', (given) =>
  isHost(given) ? given : undefined,
);

/** By which others come. */
export const reachableHost: Kind<string> = kind(
  'must be a host name or an IP address that others reach (not 0.0.0.0 or ::), without a port',
  (given) => (isHost(given) && !isUnspecified(given) ? given : undefined),
);

/** Where the keys of a store begin. */
export const storePrefix: Kind<string> = kind(
  `must start with "/", not end with "/", have no empty part and no space, and be at most ${MAX_PREFIX_BYTES} bytes`,
  (given) => (/^(\/[^/\s]+)+$/.test(given) && Buffer.byteLength(given) <= MAX_PREFIX_BYTES ? given : undefined),
);

/** The address of a collector that speaks gRPC. Only https has a port that goes without saying: 443, which gRPC takes for http as well. */
export const collectorUrl: Kind<string> = kind(
  'must be a URL of scheme, host and port, such as http://127.0.0.1:4317',
  (given) => {
    const [, scheme = '', host, port] = /^(https?):\/\/(\[[0-9a-f:.]+\]|[^\s:/?#@[\]]+)(:\d+)?\/?$/i.exec(given) ?? [];
    const url = `${scheme.toLowerCase()}://${host}${port ?? ''}`;
    const hasPort = port === undefined ? url.startsWith('https:') : Number(port.slice(1)) > 0;
    return URL.canParse(url) && hasPort ? url : undefined;
  },
);

interface ListOf {
  /** What each must be: `host:port`. */
  readonly item: string;
  readonly several?: string;
  readonly such: string;
  readonly matches: (item: string) => boolean;
}

/** Several, separated by commas; in a file also as a list. */
function list({ item, several = `one or more of ${item}`, such, matches }: ListOf): Kind<readonly string[]> {
  const allowed = `must be ${several}, separated by commas, such as ${such}`;
  const parse = (items: readonly string[]): Parsed<readonly string[]> => {
    const wrong = items.find((each) => !matches(each));
    return wrong === undefined && items.length > 0
      ? { ok: true, value: items }
      : { ok: false, why: `"${wrong ?? ''}" is not ${item}; it ${allowed}` };
  };
  const split = (given: string) => given.split(',').map((each) => each.trim());
  return {
    allowed,
    parse: (given) => parse(split(given)),
    read: (value) => {
      if (typeof value === 'string') return parse(split(value));
      const isList = Array.isArray(value) && value.every((each) => typeof each === 'string');
      return isList ? parse(value) : { ok: false, why: `it ${allowed}, or a list of them` };
    },
    show: (items) => items.join(','),
  };
}

export const addresses = list({
  item: HOST_PORT_RULE,
  several: 'one or more of host:port',
  such: '127.0.0.1:8000',
  matches: isHostPort,
});

export const etcdEndpoints = list({
  item: `${HOST_PORT_RULE}, with or without http:// or https://`,
  several: 'one or more of host:port, http://host:port or https://host:port',
  such: 'etcd-0:2379,etcd-1:2379',
  matches: (given) => isHostPort(given.replace(/^https?:\/\//, '').replace(/\/$/, '')),
});

export const modules = list({
  item: 'a module or package',
  several: 'one or more modules or packages',
  such: './hello.mjs',
  matches: (given) => given !== '' && !CONTROL.test(given),
});

export const kinds = list({
  item: `a kind of agent (1 to 63 of a-z, 0-9, ".", "_", "-")`,
  several: 'one or more kinds of agent',
  such: 'greeter,summariser',
  matches: isId,
});

function inside(value: number, least: number, most: number): boolean {
  return value >= least && value <= most;
}
