import { join } from 'node:path';
import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import { MANIFEST, Project, TARBALL } from './installed-package.js';

/** What the compiler of a user makes of the types, with the declarations of the package checked as well. */

// Each step starts a process or several, among those of other tests.
jest.setTimeout(300_000);

const COMPILERS = { '5.9': '5.9.3', '6.0': '6.0.3', '7.0': '7.0.2' } as const;
type Compiler = keyof typeof COMPILERS;

const USE = `import {
  type AgentDefinition, AgentState, type AgentStatus, connect, defineAgent, type Instance, invalidArgument, isTroupeError,
  type Json, payload, type Reply, type StartedNode, startNode, type StrategyName, type TaskEvent, TroupeError,
} from 'troupe';

interface Config { readonly greeting: string }

export const greeter: AgentDefinition<Config, { count: number }> = defineAgent({
  kind: 'greeter',
  capabilities: ['greeting'],
  config: { parse: (value: unknown) => value as Config },
  start: () => ({ count: 0 }),
  run: async (task, ctx) => {
    if (task.text() === '') throw invalidArgument('task', 'must name somebody');
    await ctx.progress(0.5);
    ctx.state.count += 1;
    return payload({ text: ctx.config.greeting, count: ctx.state.count }, 'application/json');
  },
  receive: (message, ctx) => ({ heard: message.text(), by: ctx.agentId }),
});

export async function use(strategy: StrategyName): Promise<string> {
  const node: StartedNode = await startNode({ agents: [greeter], deploy: [{ id: 'g', kind: 'greeter' }], strategy, weight: 2 });
  const troupe = connect(node.address);
  const result = await troupe.run('greeting', 'Ada', { priority: 'high', signal: AbortSignal.timeout(1000) });
  const { text } = result.json<{ text: string }>();
  const reply: Reply = await troupe.request('g', { some: ['json'] }, { timeoutMs: 10 });
  const json: Json = reply.json();
  for await (const event of troupe.runStream(['greeting'], 'Ada')) note(event);
  const nodes: Instance[] = await troupe.nodes();
  const agents: AgentStatus[] = await troupe.agentsOf(nodes[0]?.id ?? '');
  const running = agents.filter(({ state }) => state === AgentState.AGENT_STATE_RUNNING).length;
  try {
    await troupe.send('nobody', 'hello');
  } catch (error) {
    if (isTroupeError(error, 'NO_AGENT')) return error.code;
    if (error instanceof TroupeError && error.retryAfterMs !== undefined) throw error;
  }
  troupe.close();
  await node.stop();
  return text + running + String(json);
}

function note(event: TaskEvent): number {
  switch (event.kind) {
    case 'progress': return event.fraction;
    case 'result': return event.result.durationMs;
    default: return Number(event.cursor);
  }
}
`;

const WRONG = `import { connect, defineAgent, TaskResult } from 'troupe';
defineAgent({ kind: 'x', capabilities: ['x'], run: () => 1, mailbox: 3 });
connect(8080);
new TaskResult(undefined);
`;

/** In CommonJS for a compiler that knows no require() of ES modules. */
const LAZY = `import type { TroupeClient } from 'troupe' with { 'resolution-mode': 'import' };
export async function open(): Promise<TroupeClient> {
  const { connect } = await import('troupe');
  return connect();
}
`;

const compilerOptions = (options: object) =>
  JSON.stringify({
    compilerOptions: {
      target: 'ES2022',
      lib: ['ES2023'],
      types: ['node'],
      strict: true,
      noEmit: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      ...options,
    },
    files: ['use.ts'],
  });

const EVERY: readonly Compiler[] = ['5.9', '6.0', '7.0'];
const OUTER: readonly Compiler[] = ['5.9', '7.0'];
const CASES: readonly {
  name: string;
  type: 'module' | 'commonjs';
  options: object;
  text: string;
  compilers: readonly Compiler[];
}[] = [
  { name: 'ES modules, nodenext', type: 'module', options: { module: 'nodenext' }, text: USE, compilers: EVERY },
  { name: 'ES modules, node16', type: 'module', options: { module: 'node16' }, text: USE, compilers: OUTER },
  {
    name: 'a bundler',
    type: 'module',
    options: { module: 'esnext', moduleResolution: 'bundler' },
    text: USE,
    compilers: OUTER,
  },
  { name: 'CommonJS, nodenext', type: 'commonjs', options: { module: 'nodenext' }, text: USE, compilers: EVERY },
  { name: 'CommonJS, node20', type: 'commonjs', options: { module: 'node20' }, text: USE, compilers: OUTER },
  { name: 'CommonJS, node16, import()', type: 'commonjs', options: { module: 'node16' }, text: LAZY, compilers: OUTER },
  {
    name: 'CommonJS, node10',
    type: 'commonjs',
    options: { module: 'commonjs', moduleResolution: 'node10' },
    text: USE,
    // The last that has it without a word of deprecation.
    compilers: ['5.9'],
  },
];

describe('the types of the package', () => {
  let project: Project;

  beforeAll(async () => {
    project = new Project(process.execPath);
    const compilers = Object.entries(COMPILERS).map(([line, version]) => `typescript-${line}@npm:typescript@${version}`);
    const installed = await project.install(TARBALL, `@types/node@${MANIFEST.devDependencies['@types/node']}`, ...compilers);
    expect(installed).toMatchObject({ code: 0 });
  });

  const compile = (compiler: Compiler, folder: string) =>
    project.script(join('node_modules', `typescript-${compiler}`, 'bin', 'tsc'), '--pretty', 'false', '-p', folder);

  describe.each(CASES)('for $name', ({ name, type, options, text, compilers }) => {
    const folder = name.replaceAll(/[^a-z0-9]+/gi, '-');

    it.each(compilers)('are right to TypeScript %s', async (compiler) => {
      project.write({
        [`${folder}/package.json`]: JSON.stringify({ type }),
        [`${folder}/tsconfig.json`]: compilerOptions(options),
        [`${folder}/use.ts`]: text,
      });
      expect(await compile(compiler, folder)).toEqual({ code: 0, stdout: '', stderr: '' });
    });
  });

  it.each(OUTER)('tell TypeScript %s what is wrong', async (compiler) => {
    project.write({
      'wrong/package.json': '{"type":"module"}',
      'wrong/tsconfig.json': compilerOptions({ module: 'nodenext' }),
      'wrong/use.ts': WRONG,
    });
    const { code, stdout } = await compile(compiler, 'wrong');
    expect(code).not.toBe(0);
    expect(stdout).toMatch(/use\.ts\(2,.*'mailbox' does not exist/);
    expect(stdout).toMatch(/use\.ts\(3,.*not assignable to parameter of type 'string'/);
    expect(stdout).toMatch(/use\.ts\(4,.*'TaskResult' (cannot be used as a value|was exported using 'export type')/);
  });
});
