import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, it } from '@jest/globals';

const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..', '..');

interface Violation {
  readonly rule: { readonly name: string };
  readonly from: string;
  readonly to: string;
}

let trees: string[] = [];

afterEach(async () => {
  await Promise.all(trees.map((tree) => rm(tree, { recursive: true, force: true })));
  trees = [];
});

/** Checks a tree of these files by the real configuration; gives what is forbidden as `rule: from -> to`. */
async function check(files: Readonly<Record<string, string>>): Promise<string[]> {
  const tree = await mkdtemp(join(tmpdir(), 'troupe-layers-'));
  trees.push(tree);
  const all = {
    'package.json': JSON.stringify({ name: 'troupe', type: 'module', devDependencies: { 'dev-tool': '1.0.0' } }),
    'node_modules/dev-tool/package.json': JSON.stringify({ name: 'dev-tool', version: '1.0.0', main: 'index.js' }),
    'node_modules/dev-tool/index.js': 'export default 1;',
    'examples/nothing.ts': 'export {};',
    ...files,
  };
  for (const [path, text] of Object.entries(all)) {
    await mkdir(dirname(join(tree, path)), { recursive: true });
    await writeFile(join(tree, path), text);
  }
  const violations = await new Promise<Violation[]>((resolve, reject) => {
    const args = ['--config', join(ROOT, '.dependency-cruiser.cjs'), '--output-type', 'json', 'src', 'examples'];
    const cli = join(ROOT, 'node_modules', '.bin', 'depcruise');
    execFile(process.execPath, [cli, ...args], { cwd: tree, maxBuffer: 16 * 2 ** 20 }, (error, stdout, stderr) => {
      if (stdout === '') reject(new Error(`depcruise said nothing: ${stderr}`, { cause: error }));
      else resolve((JSON.parse(stdout) as { summary: { violations: Violation[] } }).summary.violations);
    });
  });
  return violations
    .map(({ rule, from, to }) => (from === to ? `${rule.name}: ${from}` : `${rule.name}: ${from} -> ${to}`))
    .sort();
}

describe('the layer law', () => {
  it('allows imports from lower layers, type imports of the logger by agents, and examples on the SDK', async () => {
    const found = await check({
      'src/index.ts': "export { agent } from './agent/agent.js';",
      'src/core/clock.ts': 'export const clock = 1;',
      'src/telemetry/logger.ts': "import { clock } from '../core/clock.js'; export type Logger = typeof clock;",
      'src/agent/agent.ts': "import type { Logger } from '../telemetry/logger.js'; export const agent: Logger = 1;",
      'src/app/main.ts': "import { agent } from '../agent/agent.js'; import '../core/clock.js'; export default agent;",
      'examples/agents/echo.ts': "import { agent } from 'troupe'; export default agent;",
    });
    expect(found).toEqual([]);
  });

  it('forbids every way around it', async () => {
    const found = await check({
      'src/index.ts': "export * from './core/up.js'; export * from './node/sideways.js'; export * from './core/strange.js';",
      'src/core/up.ts': "import type { store } from '../store/store.js'; export type Up = typeof store;",
      'src/store/store.ts': 'export const store = 1;',
      'src/node/sideways.ts': "export { tasks } from '../tasks/tasks.js';",
      'src/tasks/tasks.ts': 'export const tasks = 1;',
      'src/telemetry/logger.ts': "export type { agent } from '../agent/agent.js';",
      'src/agent/agent.ts': "import dev from 'dev-tool'; import '../resilience/one.js'; export const agent = dev;",
      'src/resilience/one.ts': "import './two.js'; export const one = 1;",
      'src/resilience/two.ts': "import './one.js'; export const two = 2;",
      'src/core/strange.ts': "import '../utils/all.js'; import './gone.js'; import '../../test/fake.js';",
      'src/utils/all.ts': "import '../tasks/tasks.js';",
      'src/cli/forgotten.ts': 'export const forgotten = 1;',
      'test/fake.ts': 'export {};',
      'examples/agents/echo.ts':
        "import { store } from '../../src/store/store.js'; import '../../src/index.js'; export default store;",
    });
    expect(found).toEqual(
      [
        'layer-law-core: src/core/up.ts -> src/store/store.ts',
        'layer-law-node: src/node/sideways.ts -> src/tasks/tasks.ts',
        'layer-law-telemetry: src/telemetry/logger.ts -> src/agent/agent.ts',
        'layer-law-agent: src/agent/agent.ts -> src/resilience/one.ts',
        'layer-law-core: src/core/strange.ts -> src/utils/all.ts',
        'no-dev-dependencies: src/agent/agent.ts -> node_modules/dev-tool/index.js',
        'no-circular: src/resilience/one.ts -> src/resilience/two.ts',
        'known-folder: src/utils/all.ts -> src/tasks/tasks.ts',
        'known-folder-imported: src/core/strange.ts -> src/utils/all.ts',
        'no-unresolvable: src/core/strange.ts -> ./gone.js',
        'src-stands-alone: src/core/strange.ts -> test/fake.ts',
        'no-orphans: src/cli/forgotten.ts',
        'examples-use-the-sdk: examples/agents/echo.ts -> src/store/store.ts',
        'examples-use-the-sdk-by-name: examples/agents/echo.ts -> src/store/store.ts',
        'examples-use-the-sdk-by-name: examples/agents/echo.ts -> src/index.ts',
      ].sort(),
    );
  });
});
