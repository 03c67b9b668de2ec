import { spawnSync } from 'node:child_process';
import { delimiter, join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { VERSION } from '../../src/app/version.js';
import { ROOT } from '../support/processes.js';
import { runCommand } from '../support/run-command.js';
import { followedDocuments, read } from './support/documents.js';
import { type Network, ownNetwork } from './support/network.js';
import { Reader } from './support/reader.js';
import { givenCommands, scratchClone } from './support/scratch.js';
import { type Step, stepsOf } from './support/steps.js';
import { UNRUN } from './unrun.js';

/** Does what each document says, from its beginning to its end. `JEST_ARGS='-t README.md'` picks one. */

const PORTS = [2379, 8000, 8080, 8081, 8765, 8766, 8767, 9464, 9465, 9466, 9467];
const DOCUMENT_MS = 300_000;

const documents = followedDocuments();

let network: Network;
let commands: string;

beforeAll(async () => {
  network = await ownNetwork(PORTS);
  const { TROUPE_ETCD: etcd, TROUPE_GRPCURL: grpcurl } = process.env;
  const curl = spawnSync('curl', ['--version']).status === 0 ? undefined : join(ROOT, 'test', 'docs', 'support', 'curl.mjs');
  commands = await givenCommands({ etcd, grpcurl, curl });
});

it.each(documents)(
  '%s says what happens',
  async (document) => {
    const reader = new Reader(await scratchClone(), network, {
      PATH: `${commands}${delimiter}${process.env.PATH ?? ''}`,
      NO_COLOR: '1',
      NO_UPDATE_NOTIFIER: '1',
    });
    await reader.follow(stepsOf(read(document)), document);
  },
  DOCUMENT_MS,
);

it('npx finds the command in a clone, as the stand-in for it takes for granted', async () => {
  const { code, stdout } = await runCommand('npx', ['troupe', '--version'], { cwd: await scratchClone() });
  expect({ code, version: stdout.trim() }).toEqual({ code: 0, version: VERSION });
});

describe('what is not run', () => {
  const isUnrun = (step: Step) => step.kind === 'not run' || step.kind === 'read';

  it('is known, block for block', () => {
    const unrun = documents.map((document) => {
      const blocks = stepsOf(read(document)).filter(isUnrun);
      return [document, blocks.map((step) => ('text' in step ? step.text.split('\n')[0] : ''))] as const;
    });
    expect(Object.fromEntries(unrun.filter(([, blocks]) => blocks.length > 0))).toEqual(UNRUN);
  });

  it('is no file that nothing uses afterwards', () => {
    const unused = documents.flatMap((document) => {
      const steps = stepsOf(read(document));
      return steps.flatMap((step, index) => {
        if (step.kind !== 'save') return [];
        const used = steps.slice(index + 1).some((later) => 'script' in later && later.script.includes(step.path));
        return used ? [] : [`${document}:${step.line}: ${step.path}`];
      });
    });
    expect(unused).toEqual([]);
  });
});
