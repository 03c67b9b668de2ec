import { describe, expect, it, test } from '@jest/globals';
import { Command } from 'commander';
import { defaultOf, SETTING_OF, settingsOf } from '../../../../src/app/settings/catalogue.js';
import { addSettings, givenFlags } from '../../../../src/app/settings/options.js';
import { flagName, ROLES } from '../../../../src/app/settings/setting.js';

const EVERY = [...SETTING_OF];
const helpOf = (role: (typeof ROLES)[number]) =>
  addSettings(new Command(role), role).configureHelp({ helpWidth: 10_000 }).helpInformation().split('\n');

describe('the catalogue', () => {
  it('names each key after its flag', () => {
    const named = EVERY.map(([, setting]) =>
      flagName(setting)
        .replace(/^--(no-)?/, '')
        .replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase()),
    );
    expect(EVERY.map(([key]) => key)).toEqual(named);
  });

  it('gives no flag and no variable twice', () => {
    for (const names of [EVERY.map(([, setting]) => flagName(setting)), EVERY.flatMap(([, { env }]) => env)])
      expect([...new Set(names)]).toEqual(names);
  });

  it('names each variable after its key, the first one', () => {
    for (const [, setting] of EVERY) {
      const [first] = setting.env;
      if (first === undefined || first === 'TROUPE_ETCD_ENDPOINTS') continue;
      expect(first).toBe(`TROUPE_${flagName(setting).slice(2).toUpperCase().replaceAll('-', '_')}`);
    }
  });

  it('has only defaults that one could give', () => {
    for (const [key, setting] of EVERY)
      for (const role of setting.roles) {
        const value = defaultOf(setting, role);
        if (value !== undefined) expect([key, setting.kind.parse(setting.kind.show(value))]).toEqual([key, { ok: true, value }]);
      }
  });
});

describe.each(ROLES)('the help of %s', (role) => {
  test.each(settingsOf(role))('tells of %s with default and variables', (_, setting) => {
    const [line, ...more] = helpOf(role).filter((each) => each.trimStart().startsWith(`${setting.flag} `));
    expect(more).toEqual([]);
    expect(line).toContain(setting.descriptions?.[role] ?? setting.description);
    for (const name of setting.env) expect(line).toContain(name);
  });
});

describe('flags', () => {
  const given = (...args: readonly string[]) => {
    const command = addSettings(new Command('dev').exitOverride(), 'dev');
    command.parse(args, { from: 'user' });
    return givenFlags(command, 'dev');
  };

  it('are there when they were given, and only then', () => {
    expect(given()).toEqual({});
    expect(given('--port', 'x', '--no-metrics', '--agents', 'a', '--agents', 'b,c', '--nodes=3')).toEqual({
      port: ['x'],
      metrics: true,
      agents: ['a', 'b,c'],
      nodes: ['3'],
    });
  });

  it('that are given twice count the last time, unless they may be repeated', () => {
    expect(given('--port', '1', '--port', '2')).toEqual({ port: ['2'] });
  });

  it('may be empty, which is something', () => {
    expect(given('--host', '')).toEqual({ host: [''] });
  });
});
