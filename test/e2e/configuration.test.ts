import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, test } from '@jest/globals';
import { cleanUp } from '../support/clean-up.js';
import { startTroupe } from '../support/processes.js';
import { client, PROBE_AGENTS, roleOf, startRegistry } from '../support/roles.js';
import { runCommand, runTroupe } from '../support/run-command.js';

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'troupe-settings-'));
  cleanUp(() => rm(path, { recursive: true, force: true }));
  return path;
}

async function fileOf(text: string, name = 'troupe.yaml'): Promise<string> {
  const path = join(await folder(), name);
  await writeFile(path, text);
  return path;
}

describe('a role that is told something wrong ends with 2, and says what is allowed:', () => {
  test.each(['registry', 'node', 'gateway', 'dev'])('a malformed variable for %s', async (role) => {
    const ran = await runTroupe([role, '--host', '127.0.0.1'], { env: { TROUPE_PORT: 'eighty' } });
    expect(ran).toMatchObject({
      code: 2,
      stdout: '',
      stderr: `error: TROUPE_PORT is "eighty": it must be a whole number from 0 to 65535\nrun \`troupe ${role} --help\`\n`,
    });
  });

  test.each(['registry', 'node', 'gateway', 'dev'])('a malformed file for %s', async (role) => {
    const path = await fileOf('zone: a\nleaseTtl: soon\n');
    const ran = await runTroupe([role, '--port', '0', '--config', path]);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toContain(`error: ${path}:2: leaseTtl is "soon": it must be a whole number from 2 to 600\n`);
  });

  it('an unknown key, named together with what else is wrong', async () => {
    const path = await fileOf('{"wieght": 3}', 'troupe.json');
    const ran = await runTroupe(['node', '--port', '0'], { env: { TROUPE_CONFIG: path, TROUPE_ZONE: 'EU' } });
    expect(ran.code).toBe(2);
    expect(ran.stderr).toMatch(/^error: TROUPE_ZONE is "EU": .*; .*troupe\.json:1: unknown key wieght; did you mean weight\?\n/);
  });

  it('a file that is not there', async () => {
    const ran = await runTroupe(['gateway', '--config', join(await folder(), 'none.yaml')]);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toMatch(/^error: --config .*none\.yaml: cannot be read: ENOENT/);
  });

  it('a password file that is not there, or empty, by the name of its setting', async () => {
    const args = ['registry', '--port', '0', '--store', 'etcd', '--etcd-user', 'ada'];
    const missing = await runTroupe(args, { env: { TROUPE_ETCD_PASSWORD_FILE: join(await folder(), 'none') } });
    expect(missing).toMatchObject({ code: 2, stdout: '' });
    expect(missing.stderr).toMatch(/^error: TROUPE_ETCD_PASSWORD_FILE .*none: ENOENT/);
    const empty = await runTroupe([...args, '--etcd-password-file', await fileOf('\n', 'password')]);
    expect(empty.code).toBe(2);
    expect(empty.stderr).toMatch(/^error: --etcd-password-file .*password: it is empty/);
  });
});

it.each(['node', 'dev'])(
  'a %s ends with 2 where a file that it needs is not there, be it a policy or a module of agents',
  async (role) => {
    const ports = role === 'dev' ? ['--port', '0', '--node-port', '0', '--registry-port', '0'] : ['--port', '0'];
    const ran = await runTroupe([role, ...ports, '--policy', 'none.json', '--agents', './none.mjs']);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
    expect(ran.stderr).toMatch(/^error: --agents \.\/none\.mjs: there is no such file; --policy none\.json: ENOENT/);
  },
);

describe('a configuration file', () => {
  it('serves several roles, each with its section', async () => {
    const registry = await startRegistry();
    const path = await fileOf(
      [
        `zone: eu`,
        `host: 127.0.0.1`,
        `port: 0`,
        `opsPort: 0`,
        `logLevel: warn`,
        `registry: ["${registry.address}"]`,
        `node:`,
        `  id: north`,
        `  weight: 7`,
        `  agents: ["${PROBE_AGENTS}"]`,
        `gateway:`,
        `  zone: us`,
        `  id: front`,
      ].join('\n'),
    );
    const node = await roleOf(startTroupe(['node', '--config', path]));
    const gateway = await roleOf(startTroupe(['gateway'], { env: { TROUPE_CONFIG: path } }));
    expect([node.id, gateway.id]).toEqual(['north', 'front']);
    const instances = await client(registry.address).instances();
    expect(instances.find(({ id }) => id === 'north')).toMatchObject({ zone: 'eu', weight: 7 });
    expect(instances.find(({ id }) => id === 'front')).toMatchObject({ zone: 'us' });
  });

  it('is overruled by the environment, and both by a flag', async () => {
    const path = await fileOf('id: by-file\nport: 0\nopsPort: off\nlogLevel: warn\n');
    const started = (args: readonly string[], env: Readonly<Record<string, string>>) =>
      roleOf(startTroupe(['registry', '--config', path, ...args], { env }));
    expect((await started([], {})).id).toBe('by-file');
    expect((await started([], { TROUPE_ID: 'by-env' })).id).toBe('by-env');
    expect((await started(['--id', 'by-flag'], { TROUPE_ID: 'by-env' })).id).toBe('by-flag');
  });
});

describe('the environment', () => {
  it('of a pod beside a Service named troupe does not break a role', async () => {
    const env = {
      TROUPE_PORT: 'tcp://10.0.0.1:8080',
      TROUPE_PORT_8080_TCP: 'tcp://10.0.0.1:8080',
      TROUPE_SERVICE_HOST: '10.0.0.1',
      TROUPE_REGISTRY_PORT: 'tcp://10.0.0.2:8000',
    };
    const path = await fileOf('port: 0\nopsPort: off\nlogLevel: warn\n');
    const registry = startTroupe(['registry', '--config', path], { env });
    await registry.ready();
    expect(registry.stderr.match(/^warning: .*$/gm)).toEqual([expect.stringMatching(/^warning: TROUPE_PORT is "tcp:.* ignored/)]);
  });

  it('is warned of once by troupe dev, not once for each process', async () => {
    const args = ['dev', '--nodes', '1', '--no-deploy', '--port', '0', '--node-port', '0', '--registry-port', '0'];
    const dev = startTroupe(args, { env: { TROUPE_LOGLEVEL: 'info' } });
    await dev.ready();
    expect(dev.stderr.match(/TROUPE_LOGLEVEL/g)).toHaveLength(1);
  });
});

it('troupe config explain shows where sources disagree', async () => {
  const path = await fileOf('zone: c\n');
  const ran = await runTroupe(['config', 'explain', 'node', '--zone', 'a', '--config', path], { env: { TROUPE_ZONE: 'b' } });
  expect(ran).toMatchObject({ code: 0, stderr: '' });
  expect(ran.stdout).toMatch(
    new RegExp(`^zone +a +flag --zone +also env TROUPE_ZONE=b, also ${path.replaceAll('.', '\\.')}:1=c$`, 'm'),
  );
});

it('troupe dev gives its processes free operations ports, and what it was told of telemetry', async () => {
  const ports = ['--port', '0', '--node-port', '0', '--registry-port', '0'];
  const dev = startTroupe(['dev', '--nodes', '1', '--no-deploy', '--no-metrics', ...ports], {
    env: { TROUPE_OPS_PORT: '9464' },
  });
  const { processes } = await dev.ready();
  const addresses = (processes as readonly { readonly ops: string }[]).map(({ ops }) => ops);
  expect(new Set(addresses).size).toBe(3);
  for (const address of addresses) {
    expect((await fetch(`http://${address}/health`)).status).toBe(200);
    expect((await fetch(`http://${address}/metrics`)).status).toBe(404);
  }
});

describe('scripts/reference.mjs', () => {
  const reference = (...args: readonly string[]) => runCommand(process.execPath, ['scripts/reference.mjs', ...args]);

  it('finds no drift in what it wrote, and names the file where there is some', async () => {
    const into = join(await folder(), 'reference');
    expect((await reference(into)).code).toBe(0);
    expect((await reference(into, '--check')).code).toBe(0);
    const path = join(into, 'configuration.md');
    await writeFile(path, (await readFile(path, 'utf8')).replace('8765', '8766'));
    const drift = await reference(into, '--check');
    expect(drift.code).toBe(1);
    expect(drift.stderr).toMatch(/^reference drift: .*configuration\.md differs from what the code gives\nrun `make reference`/);
    expect(drift.stderr).not.toContain('command.md');
  });

  it('shows a configuration file that is right', async () => {
    const into = await folder();
    await reference(into);
    const [, example] = /```yaml\n([\s\S]*?)```/.exec(await readFile(join(into, 'configuration.md'), 'utf8')) ?? [];
    expect(example).toContain('node:');
    expect(await runTroupe(['config', 'check', '--no-files', await fileOf(example ?? '')])).toMatchObject({
      code: 0,
      stderr: '',
    });
  });
});
