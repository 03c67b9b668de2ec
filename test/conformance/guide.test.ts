import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { GOLDEN } from '../support/golden.js';
import { ROOT, startProcess } from '../support/processes.js';
import { client, type Role, startGateway, startNode, startRegistry } from '../support/roles.js';
import { runCommand } from '../support/run-command.js';
import { goProgram, python } from './toolchains.js';

const GUIDE = 'docs/guides/other-languages.md';
const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');
const guide = read(GUIDE);

/** Where it says that a block is a file, and what the block holds. */
const shown = [...guide.matchAll(/`([\w./-]+\.(?:py|go|yaml))`:\n\n(?:<!--.*-->\n\n?)?```\w+\n([\s\S]*?)^```$/gm)];

const { interpreter, env } = python();
const inPython = (file: string, ...args: string[]) => [interpreter, [join(ROOT, 'examples', 'python', file), ...args]] as const;
const LANGUAGES = [
  ['Python', { agent: inPython('short_agent.py'), client: inPython('short_client.py') }],
  ['Go', { agent: [goProgram('shortagent'), []], client: [goProgram('shortclient'), []] }],
] as const;

describe(GUIDE, () => {
  it.each(shown.map(([, path = '', text]) => [path, text] as const))('shows %s as it is', (path, text) => {
    expect(text).toBe(read(path));
  });

  it('shows a client and an agent in both languages', () => {
    expect(shown.map(([, path]) => path)).toHaveLength(5);
  });

  it('has the table of all cases', () => {
    const cases = JSON.parse(read('test/conformance/cases.json')) as [string, string][];
    const rows = [...guide.matchAll(/^\| `([a-z]+\.[a-z]+)` +\| (.+?) +\|$/gm)].map(([, name, what]) => [name, what]);
    expect(rows).toEqual(cases);
  });

  it('shows bytes that are golden', () => {
    const rows = [
      ...guide.matchAll(/^\| (a program (?:says|hears): [^|]+?|envelope: [^|]+?|run: [^|]+?) +\| `([0-9a-f]+)` +\|$/gm),
    ];
    expect(rows.length).toBeGreaterThan(3);
    for (const [, name, hex] of rows) expect(GOLDEN.find((each) => each.name === name)?.hex).toBe(hex);
  });
});

describe.each(LANGUAGES)('the short programs in %s', (language, { agent, client: caller }) => {
  let gateway: Role;

  beforeAll(async () => {
    const registry = await startRegistry();
    [gateway] = await Promise.all([startGateway(registry.address), startNode('node-1', registry.address)]);
    await eventually(async () => expect(await client(gateway.address).nodes()).toHaveLength(1));
  }, 30_000);

  it('do a task, and tell why one is not done', async () => {
    const call = (capability: string) => runCommand(caller[0], [...caller[1], gateway.address, capability, 'hello'], { env });
    const id = `shouter-${language.toLowerCase()}`;
    const attached = startProcess(agent[0], [...agent[1], gateway.address, id], { env });
    expect(await attached.line((line) => line.startsWith('attached'))).toBe('attached to node-1');
    // A gateway hears of a new agent a moment later.
    await eventually(async () => expect(await call('shouting')).toMatchObject({ code: 0, stdout: `${id} HELLO\n` }));
    const refused = await call('juggling');
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/NO_AGENT: .*no agent offers "juggling"/);
  });
});
