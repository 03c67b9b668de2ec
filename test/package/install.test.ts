import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import { ROOT } from '../support/processes.js';
import { MANIFEST, Project, TARBALL } from './installed-package.js';

/** What a user sees who installs the package into an empty folder, on every version of Node.js that is supported. */

// Each step starts a process or several, among those of other tests.
jest.setTimeout(300_000);

const NODES = JSON.parse(
  execFileSync(process.execPath, [join(ROOT, 'scripts', 'install-nodes.mjs')], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  }),
) as Readonly<Record<'18' | '20' | '22' | '24', string>>;

const agent = (kind: string) => `({
  kind: '${kind}',
  capabilities: ['${kind}'],
  run: (task, ctx) => ({ said: task.text(), by: ctx.agentId, on: process.versions.node }),
  receive: (message) => ({ heard: message.text() }),
})`;

const FILES = {
  'esm.mjs': `import { defineAgent } from 'troupe';\nexport default defineAgent${agent('from-esm')};\n`,
  'common.cjs': `const { defineAgent } = require('troupe');\nmodule.exports = defineAgent${agent('from-cjs')};\n`,
  'typed.ts': `import { type AgentTask, defineAgent, type TaskContext } from 'troupe';
export const typed = defineAgent({
  kind: 'from-ts',
  capabilities: ['from-ts'],
  run: (task: AgentTask, ctx: TaskContext) => ({ said: task.text(), by: ctx.agentId, on: process.versions.node }),
});
`,
  'client.mjs': `import { AgentState, connect, isTroupeError } from 'troupe';
const troupe = connect(process.argv[2]);
const result = await troupe.run('from-esm', 'Ada');
const reply = await troupe.request('from-esm-1', 'psst');
const refusal = await troupe.run('juggling', '').catch((error) => error);
const [node] = await troupe.nodes();
const [one] = await troupe.agentsOf(node.id);
console.log(JSON.stringify({
  result: result.json(),
  reply: reply.json(),
  refused: isTroupeError(refusal, 'NO_AGENT'),
  running: one.state === AgentState.AGENT_STATE_RUNNING,
}));
troupe.close();
`,
  'client.cjs': `const { connect } = require('troupe');
const troupe = connect(process.argv[2]);
troupe.run('from-cjs', 'Ada').then((result) => {
  console.log(JSON.stringify(result.json()));
  troupe.close();
});
`,
  'host.mjs': `import { connect, defineAgent, startNode } from 'troupe';
const agent = defineAgent({ kind: 'embedded', capabilities: ['embedded'], run: (task) => ({ said: task.text() }) });
const node = await startNode({ registry: [process.argv[2]], id: 'embedded', agents: [agent], deploy: [{ id: 'e-1', kind: 'embedded' }] });
const troupe = connect(node.address);
const result = await troupe.run('embedded', 'here');
console.log(JSON.stringify({ ...result.json(), on: result.nodeId }));
troupe.close();
await node.stop();
`,
};

describe.each(['20', '22', '24'] as const)('on Node.js %s', (line) => {
  let project: Project;
  let address: string;
  let registry: string;
  // TypeScript is what Node.js runs by itself from 22.18 on.
  const agents = ['./esm.mjs', './common.cjs', ...(line === '20' ? [] : ['./typed.ts'])];
  const kinds = ['from-esm', 'from-cjs', ...(line === '20' ? [] : ['from-ts'])];

  beforeAll(async () => {
    project = new Project(NODES[line], FILES);
    const installed = await project.install(TARBALL);
    expect(installed).toMatchObject({ code: 0 });
    expect(installed.stderr).not.toMatch(/EBADENGINE|deprecated|peer/);
    const dev = project.startNpx(
      ...['troupe', 'dev', '--port', '0', '--node-port', '0', '--registry-port', '0', '--nodes', '1'],
      ...agents.flatMap((file) => ['--agents', file]),
    );
    const ready = await dev.ready(60_000);
    address = String(ready.grpc);
    const processes = ready.processes as { role: string; grpc: string }[];
    registry = processes.find(({ role }) => role === 'registry')?.grpc ?? '';
  });

  it('installs a tree that fits together, and nothing twice', async () => {
    const { code, stdout, stderr } = await project.npm('ls', '--all', '--json');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).not.toHaveProperty('problems');
    expect(readdirSync(join(project.folder, 'node_modules', 'troupe'))).not.toContain('node_modules');
  });

  it('says its version', async () => {
    expect(await project.npx('troupe', '--version')).toMatchObject({ code: 0, stdout: `${MANIFEST.version}\n`, stderr: '' });
  });

  it('answers tasks by agents of every module system', async () => {
    for (const kind of kinds) {
      const ran = await project.npx('troupe', 'run', kind, '--text', 'Ada', '--address', address);
      expect({ kind, ...ran }).toMatchObject({ kind, code: 0 });
      const { on, ...answer } = JSON.parse(ran.stdout) as { on: string };
      expect(answer).toEqual({ said: 'Ada', by: `${kind}-1` });
      expect(on.split('.')[0]).toBe(line);
    }
  });

  it('is a library for ES modules', async () => {
    const { code, stdout, stderr } = await project.script('client.mjs', address);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({
      result: { said: 'Ada', by: 'from-esm-1' },
      reply: { heard: 'psst' },
      refused: true,
      running: true,
    });
  });

  it('is a library for CommonJS, without a word of warning', async () => {
    const { code, stdout, stderr } = await project.script('client.cjs', address);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toMatchObject({ said: 'Ada', by: 'from-cjs-1' });
  });

  it("runs a node in a user's process", async () => {
    const { code, stdout, stderr } = await project.script('host.mjs', registry);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(JSON.parse(stdout)).toEqual({ said: 'here', on: 'embedded' });
  });
});

describe('on Node.js 20', () => {
  it('says what agents in TypeScript need', async () => {
    const project = new Project(NODES['20'], FILES);
    await project.install(TARBALL);
    const { code, stderr } = await project.npx('troupe', 'dev', '--port', '0', '--agents', './typed.ts');
    expect(code).not.toBe(0);
    expect(stderr).toContain('this Node.js does not run TypeScript; use Node.js 22.18 or newer, or compile it first');
  });
});

describe('on Node.js 24', () => {
  it('runs the demo, with the data and the agents that the package holds', async () => {
    const project = new Project(NODES['24']);
    await project.install(TARBALL);
    const bare = await project.npx('troupe', 'demo');
    expect(bare.code).not.toBe(0);
    expect(bare.stderr).toContain('this agent needs the package "csv-parse"; run "npm install csv-parse" on its node');
    await project.install(
      ...['csv-parse', 'json-schema-to-typescript'].map((name) => `${name}@${MANIFEST.devDependencies[name]}`),
    );
    expect(await project.npx('troupe', 'demo')).toMatchObject({ code: 0 });
  });
});

describe('on Node.js 18', () => {
  it('says which Node.js it needs, in a sentence', async () => {
    const project = new Project(NODES['18']);
    expect(await project.install('--force', TARBALL)).toMatchObject({ code: 0 });
    const command = join('node_modules', 'troupe', 'bin', 'troupe.cjs');
    expect(await project.script(command, 'dev')).toEqual({
      code: 1,
      stdout: '',
      stderr: `Troupe needs Node.js 20.19 or newer; this is 18.20.8 (${NODES['18']})\n`,
    });
  });
});
