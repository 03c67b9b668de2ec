import type { Role, Setting } from './setting.js';

export type Source =
  | { readonly kind: 'flag'; readonly name: string }
  | { readonly kind: 'env'; readonly name: string }
  | { readonly kind: 'file'; readonly path: string; readonly line: number; readonly key: string }
  | { readonly kind: 'default' };

export interface Claim {
  readonly source: Source;
  readonly value: unknown;
}

/** A setting, and who said so. */
export interface ResolvedSetting extends Claim {
  readonly key: string;
  readonly setting: Setting;
  /** Those that said otherwise and did not count, the strongest first. */
  readonly overrode: readonly Claim[];
}

export interface Resolution<R extends Role = Role> {
  readonly role: R;
  readonly settings: readonly ResolvedSetting[];
  /** All that is wrong; where this is empty, `valuesOf` has what a role needs. */
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

/** How a user knows it: `--port`, `TROUPE_PORT`, `troupe.yaml:3: port`. */
export function sourceName(source: Source): string {
  switch (source.kind) {
    case 'flag':
    case 'env':
      return source.name;
    case 'file':
      return `${source.path}:${source.line}: ${source.key}`;
    case 'default':
      return 'the default';
  }
}
