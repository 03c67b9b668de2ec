import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, test } from '@jest/globals';
import { configCommand } from '../../../../src/app/commands/config.js';
import { SETTING_OF } from '../../../../src/app/settings/catalogue.js';
import { ROLES } from '../../../../src/app/settings/setting.js';
import { runCli } from '../../../../src/cli/program.js';
import { CapturedIo } from '../../cli/captured-io.js';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'troupe-config-'));
});
afterAll(() => rm(folder, { recursive: true }));

const fileOf = async (text: string, name = 'troupe.yaml') => {
  const path = join(folder, name);
  await writeFile(path, text);
  return path;
};

async function config(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  const io = new CapturedIo({ env });
  const code = await runCli(['config', ...args], io, [configCommand]);
  return { code, io };
}

/** The cells of a setting's row. */
const row = (io: CapturedIo, key: string) => io.lines.find((line) => line.startsWith(`${key} `))?.split(/ {2,}/);

describe('troupe config explain', () => {
  test.each(ROLES)('shows every setting of %s', async (role) => {
    const { code, io } = await config(['explain', role]);
    expect({ code, err: io.err }).toEqual({ code: 0, err: '' });
    const keys = [...SETTING_OF].filter(([, { roles }]) => roles.includes(role)).map(([key]) => key);
    expect(io.lines.map((line) => line.split(' ')[0])).toEqual(['SETTING', ...keys]);
  });

  it('shows where a value comes from, and what it overrules', async () => {
    const path = await fileOf('zone: c\nleaseTtl: 20\nnode:\n  zone: d\n');
    const { code, io } = await config(['explain', 'node', '--zone', 'a', '--no-prefer-zone'], {
      TROUPE_ZONE: 'b',
      TROUPE_CONFIG: path,
      TROUPE_NO_PREFER_ZONE: 'false',
    });
    expect(code).toBe(0);
    expect(row(io, 'zone')).toEqual([
      'zone',
      'a',
      'flag --zone',
      `also env TROUPE_ZONE=b, also ${path}:4 node.zone=d, also ${path}:1=c`,
    ]);
    expect(row(io, 'leaseTtl')).toEqual(['leaseTtl', '20', `${path}:2`, '-']);
    expect(row(io, 'preferZone')).toEqual([
      'preferZone',
      'false',
      'flag --no-prefer-zone',
      'also env TROUPE_NO_PREFER_ZONE=false',
    ]);
    expect(row(io, 'config')).toEqual(['config', path, 'env TROUPE_CONFIG', '-']);
    expect(row(io, 'weight')).toEqual(['weight', '1', 'default', '-']);
  });

  it('is JSON for programs', async () => {
    const path = await fileOf('zone: c\n');
    const { code, io } = await config(['explain', 'node', '--zone', 'a', '--config', path, '--output', 'json']);
    expect(code).toBe(0);
    const { role, settings, problems, warnings } = JSON.parse(io.out);
    expect({ role, problems, warnings }).toEqual({ role: 'node', problems: [], warnings: [] });
    expect(settings.find(({ key }: { key: string }) => key === 'zone')).toEqual({
      key: 'zone',
      value: 'a',
      source: { kind: 'flag', name: '--zone' },
      overruled: [{ value: 'c', source: { kind: 'file', file: path, line: 1, key: 'zone' } }],
      flag: '--zone',
      env: ['TROUPE_ZONE'],
      secret: false,
    });
    expect(settings.find(({ key }: { key: string }) => key === 'dataDir')).toMatchObject({
      value: null,
      source: { kind: 'default' },
    });
  });

  test.each([[], ['--output', 'json']])('never shows a secret (%s)', async (...flags) => {
    const path = await fileOf('etcdPassword: hunter3\n');
    const env = { TROUPE_STORE: 'etcd', TROUPE_ETCD_USER: 'ada', TROUPE_ETCD_PASSWORD: 'hunter2' };
    const { code, io } = await config(['explain', 'registry', '--config', path, ...flags], env);
    expect(code).toBe(0);
    expect(io.out).toContain('***');
    expect(io.out + io.err).not.toContain('hunter');
  });

  it('tells all that is wrong, and ends with 2', async () => {
    const path = await fileOf('port: 99999\ncolour: red\n');
    const { code, io } = await config(['explain', 'node', '--config', path, '--lease-ttl', '1'], { TROUPE_WEIGHT: 'x' });
    expect(code).toBe(2);
    expect(io.err.split('\n').slice(0, -1)).toEqual([
      'error: TROUPE_WEIGHT is "x": it must be a whole number from 1 to 1000',
      'error: --lease-ttl is "1": it must be a whole number from 2 to 600',
      `error: ${path}:1: port is 99999: it must be a whole number from 0 to 65535`,
      `error: ${path}:2: unknown key colour`,
    ]);
    expect(row(io, 'zone')).toEqual(['zone', 'default', 'default', '-']);
  });

  it('tells it in JSON too', async () => {
    const { code, io } = await config(['explain', 'node', '-o', 'json'], { TROUPE_WEIGHT: 'x', TROUPE_LOGLEVEL: 'info' });
    expect(code).toBe(2);
    expect(io.err).toBe('');
    expect(JSON.parse(io.out)).toMatchObject({
      problems: ['TROUPE_WEIGHT is "x": it must be a whole number from 1 to 1000'],
      warnings: ['TROUPE_LOGLEVEL is not known; did you mean TROUPE_LOG_LEVEL?'],
    });
  });

  it('warns of variables that are nearly right', async () => {
    const { code, io } = await config(['explain', 'gateway'], { TROUPE_LOGLEVEL: 'info' });
    expect({ code, err: io.err }).toEqual({
      code: 0,
      err: 'warning: TROUPE_LOGLEVEL is not known; did you mean TROUPE_LOG_LEVEL?\n',
    });
  });

  it('looks at the files that settings name: all of them, and no module is run', async () => {
    const policy = await fileOf('{"capabilities": {"a": {"fallback": "A"}, "b": {"rate": 1}}}', 'policy.json');
    const throws = await fileOf('throw new Error("was run");', 'throws.mjs');
    const path = await fileOf(`agents: [${throws}, ./none.mjs, no-such-package]\n`);
    const { code, io } = await config(['explain', 'node', '--config', path], { TROUPE_POLICY: policy });
    expect(code).toBe(2);
    expect(io.err.split('\n').slice(0, -1)).toEqual([
      `error: ${path}:1: agents ./none.mjs: there is no such file`,
      `error: ${path}:1: agents no-such-package: there is no such file, and no such package is installed here`,
      expect.stringMatching(
        /^error: TROUPE_POLICY .*policy\.json: .*a\.fallback: .*; policy\.capabilities\.b\.rate: is not a field/,
      ),
    ]);
    expect(row(io, 'zone')).toEqual(['zone', 'default', 'default', '-']);
    const without = await config(['explain', 'node', '--no-files', '--config', path], { TROUPE_POLICY: policy });
    expect({ code: without.code, err: without.io.err }).toEqual({ code: 0, err: '' });
  });

  it('looks at the files of etcd where etcd is the store', async () => {
    const empty = await fileOf('\n', 'password');
    const env = { TROUPE_ETCD_USER: 'ada', TROUPE_ETCD_PASSWORD_FILE: empty, TROUPE_ETCD_CA: join(folder, 'none.pem') };
    expect((await config(['explain', 'registry'], env)).code).toBe(0);
    const { code, io } = await config(['explain', 'registry', '--store', 'etcd'], env);
    expect(code).toBe(2);
    expect(io.err.split('\n').slice(0, -1)).toEqual([
      `error: TROUPE_ETCD_PASSWORD_FILE ${empty}: it is empty`,
      expect.stringMatching(/^error: TROUPE_ETCD_CA .*none\.pem: .*ENOENT/),
    ]);
  });

  it('says which file cannot be read, and who named it', async () => {
    const { code, io } = await config(['explain', 'node'], { TROUPE_CONFIG: join(folder, 'none.yaml') });
    expect(code).toBe(2);
    expect(io.err).toMatch(/^error: TROUPE_CONFIG .*none\.yaml: cannot be read: .*ENOENT/);
  });

  it('needs a role', async () => {
    expect((await config(['explain'])).code).toBe(2);
    const { code, io } = await config(['explain', 'nod']);
    expect({ code, err: io.err }).toMatchObject({ code: 2, err: expect.stringContaining("unknown command 'nod'") });
  });
});

describe('troupe config check', () => {
  it('finds nothing wrong with a file that is right', async () => {
    const path = await fileOf('{"zone": "a", "node": {"weight": 2}}', 'troupe.json');
    const { code, io } = await config(['check', path]);
    expect({ code, out: io.out, err: io.err }).toEqual({ code: 0, out: `${path}: all settings are right\n`, err: '' });
  });

  it('says all that is wrong, line by line, and ends with 2', async () => {
    const path = await fileOf('zone: A\nnode:\n  store: etcd\n');
    const { code, io } = await config(['check', path]);
    expect({ code, out: io.out }).toEqual({ code: 2, out: '' });
    expect(io.err.split('\n')).toHaveLength(3);
    expect(io.err).toMatch(/troupe\.yaml:1: zone is "A": .*\n.*troupe\.yaml:3: node\.store: a node has no such setting/);
  });

  it('says what is wrong with the files that it names, unless told to leave them out', async () => {
    const path = await fileOf('node:\n  policy: none.json\nregistry:\n  etcdCa: none.pem\n');
    const { code, io } = await config(['check', path]);
    expect({ code, out: io.out }).toEqual({ code: 2, out: '' });
    expect(io.err).toMatch(/:2: node\.policy none\.json: .*ENOENT.*\n.*:4: registry\.etcdCa none\.pem: .*ENOENT/);
    const without = await config(['check', '--no-files', path]);
    expect({ code: without.code, out: without.io.out, err: without.io.err }).toEqual({
      code: 0,
      out: `${path}: all settings are right; the files that it names were not looked at\n`,
      err: '',
    });
  });

  it('says that there is no such file', async () => {
    const { code, io } = await config(['check', join(folder, 'none.yaml')]);
    expect({ code, err: io.err }).toMatchObject({ code: 2, err: expect.stringMatching(/none\.yaml: cannot be read: .*ENOENT/) });
  });
});

test('troupe config check does not read without end', async () => {
  const { code, io } = await config(['check', '/dev/zero']);
  expect({ code, err: io.err }).toEqual({ code: 2, err: 'error: /dev/zero: it must be at most 1 MiB\n' });
});
