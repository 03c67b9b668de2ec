import type { Paint } from '../../cli/colours.js';
import { type Column, formatTable } from '../../cli/table.js';
import type { Claim, Resolution, ResolvedSetting, Source } from './resolution.js';
import { flagName, isNegated } from './setting.js';
import { shown } from './show.js';

/** A table of what each setting of a role is, who said so, and who said otherwise. */
export function explainTable({ settings }: Resolution, paint: Paint): string {
  const columns: readonly Column<ResolvedSetting>[] = [
    { heading: 'SETTING', cell: ({ key }) => key },
    { heading: 'VALUE', cell: ({ setting, value }) => shown(setting, value) ?? '' },
    { heading: 'SOURCE', cell: ({ source }) => sourceText(source), colour: sourceColour },
    {
      heading: 'OVERRULED',
      cell: ({ setting, overrode }) =>
        overrode.map((claim) => `also ${sourceText(claim.source)}=${asGiven(claim, setting)}`).join(', '),
      colour: () => 'yellow',
    },
  ];
  return formatTable(columns, settings, paint);
}

/** The same for programs. */
export function explainJson({ role, settings, problems, warnings }: Resolution) {
  return {
    role,
    settings: settings.map(({ key, setting, value, source, overrode }) => ({
      key,
      value: jsonValue({ value, source }, setting),
      source: jsonSource(source),
      overruled: overrode.map((claim) => ({ value: jsonValue(claim, setting), source: jsonSource(claim.source) })),
      flag: flagName(setting),
      env: setting.env,
      secret: setting.secret === true,
    })),
    problems,
    warnings,
  };
}

/** As its source has it: TROUPE_NO_METRICS is false where `metrics` is true. */
function asGiven({ source, value }: Claim, setting: ResolvedSetting['setting']): string | undefined {
  return shown(setting, source.kind === 'env' && isNegated(setting) ? !value : value);
}

/** `flag --zone`, `env TROUPE_ZONE`, `troupe.yaml:3`, and for a section's `troupe.yaml:7 node.zone`. */
function sourceText(source: Source): string {
  switch (source.kind) {
    case 'flag':
    case 'env':
      return `${source.kind} ${source.name}`;
    case 'file':
      return `${source.path}:${source.line}${source.key.includes('.') ? ` ${source.key}` : ''}`;
    case 'default':
      return 'default';
  }
}

function sourceColour({ source }: ResolvedSetting) {
  return source.kind === 'default' ? 'dim' : undefined;
}

function jsonSource(source: Source) {
  return source.kind === 'file' ? { kind: source.kind, file: source.path, line: source.line, key: source.key } : { ...source };
}

function jsonValue({ value }: Claim, setting: ResolvedSetting['setting']): unknown {
  if (value === undefined) return null;
  return setting.secret ? shown(setting, value) : value;
}
