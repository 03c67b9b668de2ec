import type { KeyOf } from './catalogue.js';
import type { Resolution, ResolvedSetting } from './resolution.js';
import { flagName, isNegated } from './setting.js';

/**
 * Flags for the processes of `troupe dev`, of what only it was told: by a flag, or by its own section of the file. The environment
 * and the rest of the file reach them by themselves, together with the sections that overrule it.
 */
export function passedOn({ settings }: Resolution<'dev'>, keys: readonly KeyOf<'dev'>[]): readonly string[] {
  return settings.filter((each) => keys.some((key) => key === each.key) && isOwn(each)).flatMap(asFlag);
}

function isOwn({ source }: ResolvedSetting): boolean {
  return source.kind === 'flag' || (source.kind === 'file' && source.key.startsWith('dev.'));
}

function asFlag({ setting, value }: ResolvedSetting): readonly string[] {
  if (isNegated(setting)) return value === false ? [flagName(setting)] : [];
  return [flagName(setting), setting.kind.show(value)];
}
