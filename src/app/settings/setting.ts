import type { Kind } from './kind.js';

export const ROLES = ['registry', 'node', 'gateway', 'dev'] as const;
/** Who has settings; `dev` runs the other three. */
export type Role = (typeof ROLES)[number];

/** Those that are one process of their own. */
export const SERVERS = ['registry', 'node', 'gateway'] as const;

/** One setting, wherever it comes from. `V` is what its reader gets: with `undefined` where there is no default. */
export interface Setting<T = unknown, V = unknown, R extends Role = Role> {
  /** `--port <port>`; one that begins with `--no-` says false. Its name in camelCase is the key in a configuration file. */
  readonly flag: string;
  /** The flag may be given several times. */
  readonly repeatable?: boolean;
  /** Environment variables, the one that counts before the others first. Of a `--no-` flag they say whether not. */
  readonly env: readonly string[];
  readonly kind: Kind<T>;
  readonly roles: readonly R[];
  /** What it is when nobody says; absent: nothing. */
  readonly default?: V | ((role: Role) => V);
  /** What that comes to, where the value does not say it to people. */
  readonly defaultText?: string;
  /** Never shown. */
  readonly secret?: boolean;
  /** Not to be given by a configuration file. */
  readonly notInFile?: boolean;
  readonly description: string;
  /** For roles of which it says something else. */
  readonly descriptions?: Partial<Readonly<Record<Role, string>>>;
}

/** Checks what it is given: a default of the right type, roles that exist. */
export function setting<T, R extends Role>(
  spec: Setting<T, T, R> & { readonly default: T | ((role: Role) => T) },
): Setting<T, T, R>;
export function setting<T, R extends Role>(spec: Setting<T, T, R>): Setting<T, T | undefined, R>;
export function setting<T, R extends Role>(spec: Setting<T, T, R>): Setting<T, T, R> {
  return spec;
}

/** `--port`, without its value. */
export function flagName({ flag }: Pick<Setting, 'flag'>): string {
  return flag.split(' ')[0] ?? flag;
}

/** Whether its flag and its environment variables say "not". */
export function isNegated({ flag }: Pick<Setting, 'flag'>): boolean {
  return flag.startsWith('--no-');
}
