import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import type { Command } from 'commander';
import { APP_COMMANDS } from '../../src/app/commands/all.js';
import { buildProgram } from '../../src/cli/program.js';
import { cleanUp } from '../support/clean-up.js';
import { eventually } from '../support/eventually.js';
import { ROOT, startProcess, startTroupe } from '../support/processes.js';
import { client } from '../support/roles.js';
import { runCommand } from '../support/run-command.js';
import { CapturedIo } from '../unit/cli/captured-io.js';

/** What `--help` shows does what it says, for somebody who has nothing but the package. */

const MAIN = join(ROOT, 'dist', 'src', 'app', 'main.js');
/** Start roles, which is what test/docs does, or a long demonstration. */
const ROLES = /^troupe (dev|registry|node|gateway|demo)\b/;
const ENDLESS = /^troupe (listen|call Registry\/Watch)|--watch/;
/** Take something away from those that come after them. */
const LAST = /^troupe (undeploy|drain)\b/;

function examplesOf(command: Command, io: CapturedIo): string[] {
  const before = io.out.length;
  command.outputHelp();
  const [, shown = ''] = io.out.slice(before).split('\nExamples:\n');
  const own = [...shown.matchAll(/^ {2}\$ (.*)$/gm)].map(([, line = '']) => line.trim());
  return [...own, ...command.commands.flatMap((each) => examplesOf(each, io))];
}

it('each example of a command runs in an empty folder beside `troupe dev`', async () => {
  const io = new CapturedIo();
  const all = [...new Set(examplesOf(buildProgram(io, APP_COMMANDS), io))].filter((line) => !ROLES.test(line));
  expect(all.length).toBeGreaterThan(40);
  const cwd = await mkdtemp(join(tmpdir(), 'troupe-help-'));
  cleanUp(() => rm(cwd, { recursive: true, force: true }));
  const dev = startTroupe(['dev', '--nodes', '2', '--port', '0', '--node-port', '0', '--registry-port', '0'], { cwd });
  const ready = await dev.ready();
  const address = String(ready.grpc);
  const processes = ready.processes as { readonly id: string; readonly grpc: string }[];
  const node = processes.find(({ id }) => id === 'node-1')?.grpc ?? '';
  // Whoever sends messages has an agent that takes them, and whoever checks a file has one.
  const troupe = client(address);
  const notes = await troupe.attachAgent({ id: 'notes-1', receive: () => 'noted' });
  cleanUp(() => notes.close());
  await writeFile(join(cwd, 'troupe.yaml'), 'zone: a\n');

  const env = { TROUPE_ADDRESS: address, NODE: process.execPath, MAIN };
  const script = (line: string) => {
    // A sample is taken each second.
    const [command = ''] = line.replace('127.0.0.1:8765', node).replace('--samples 30', '--samples 2').split(' | jq ');
    return `troupe() { "$NODE" "$MAIN" "$@"; }\n${command}`;
  };
  const failed: unknown[] = [];
  const run = async (line: string) => {
    const { code, stderr } = await runCommand('sh', ['-c', script(line)], { cwd, env });
    if (code !== 0) failed.push({ line, code, stderr });
  };
  const finite = all.filter((each) => !ENDLESS.test(each));
  const first = finite.filter((each) => !LAST.test(each));
  while (first.length > 0) await Promise.all(first.splice(0, 3).map(run));
  for (const line of finite.filter((each) => LAST.test(each))) await run(line);
  expect(failed).toEqual([]);
  for (const line of all.filter((each) => ENDLESS.test(each))) {
    const started = startProcess('sh', ['-c', script(line)], { cwd, env });
    const said = async () => {
      // Or those who listen have nothing to say.
      for (const topic of ['news', 'orders.created']) await troupe.broadcast(topic, 'hello');
      expect({ line, said: started.lines.length + started.stderr.length }).not.toEqual({ line, said: 0 });
    };
    await eventually(said, { timeoutMs: 20_000 });
    expect({ line, stderr: started.stderr }).toEqual({ line, stderr: expect.not.stringContaining('error:') });
    await started.destroy();
  }
}, 240_000);
