import { existsSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { parseSync } from '@swc/core';
import { eventually } from '../../support/eventually.js';
import { startProcess, type TestProcess } from '../../support/processes.js';
import type { Network } from './network.js';
import { isAsShown } from './output.js';
import type { Step } from './steps.js';

const COMMAND_MS = 60_000;
const READY_MS = 60_000;
const REPEAT_MS = 30_000;

/** Does what a document says, step by step, in `folder`. What it leaves running is killed when the test ends. */
export class Reader {
  private background: { readonly script: string; readonly process: TestProcess }[] = [];

  constructor(
    private readonly folder: string,
    private readonly network: Network,
    private readonly env: Readonly<Record<string, string | undefined>>,
  ) {}

  /** @throws at the end, with all that was not as the document says. */
  async follow(steps: readonly Step[], document: string): Promise<void> {
    const wrong: string[] = [];
    for (const step of [...steps, { kind: 'stop', line: Number.NaN, prefix: '' } as const]) {
      try {
        await this.take(step);
      } catch (error) {
        wrong.push(`${document}:${step.line}: ${error instanceof Error ? error.message : String(error)}`);
        // What comes after it builds on what is there.
        if (step.kind === 'start') break;
      }
    }
    if (wrong.length > 0) throw new Error(wrong.join('\n\n'));
  }

  private async take(step: Step): Promise<void> {
    switch (step.kind) {
      case 'run':
        return await (step.repeat ? eventually(() => this.run(step), { timeoutMs: REPEAT_MS }) : this.run(step));
      case 'start':
        return await this.start(step);
      case 'shown':
        return await this.shown(step.prefix, step.prints);
      case 'stop':
        return await this.stop(step.prefix);
      case 'save':
        return await this.save(step.path, step.text);
      case 'read':
        return read(step.language, step.text);
      case 'not run':
        return;
    }
  }

  private async run({ script, exitCode, prints }: Extract<Step, { kind: 'run' }>): Promise<void> {
    const command = this.sh(script);
    const late = setTimeout(() => command.destroyNow(), COMMAND_MS);
    const { code } = await command.exit;
    clearTimeout(late);
    const printed = command.lines.join('\n');
    if (code !== exitCode) throw new Error(`ended with ${code}, not ${exitCode}:\n${script}\n--- printed\n${printed}`);
    compare(script, prints, printed);
  }

  private async start({ script, until, prints }: Extract<Step, { kind: 'start' }>): Promise<void> {
    const command = this.sh(script);
    this.background.push({ script, process: command });
    await command.line((line) => line.includes(until), READY_MS);
    if (prints !== undefined) {
      await eventually(() => compare(script, prints, command.lines.join('\n')), { timeoutMs: REPEAT_MS });
    }
  }

  private async shown(prefix: string, prints: string): Promise<void> {
    const command = this.background.findLast(({ script }) => script.startsWith(prefix));
    if (command === undefined) throw new Error(`nothing runs that began with: ${prefix}`);
    await eventually(() => compare(command.script, prints, command.process.lines.join('\n')), { timeoutMs: REPEAT_MS });
  }

  /** Ctrl-C, the youngest first. */
  private async stop(prefix: string): Promise<void> {
    const stopped = this.background.filter(({ script }) => script.startsWith(prefix));
    if (stopped.length === 0 && prefix !== '') throw new Error(`nothing runs that began with: ${prefix}`);
    this.background = this.background.filter((each) => !stopped.includes(each));
    for (const { script, process: command } of stopped.reverse()) {
      interrupt(command.pid);
      const { code, signal } = await command.exit;
      if (signal === 'SIGINT' || code === 0 || code === 130) continue;
      throw new Error(`ended with ${signal ?? code}:\n${script}\n--- printed\n${command.lines.join('\n')}`);
    }
  }

  private async save(path: string, text: string): Promise<void> {
    const file = join(this.folder, path);
    if (existsSync(file)) {
      const there = await readFile(file, 'utf8');
      if (there.trimEnd() !== text.trimEnd()) throw new Error(`the block is not what ${path} holds`);
      return;
    }
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, `${text}\n`);
  }

  private sh(script: string): TestProcess {
    const [command = '', ...args] = [...this.network.enter, 'sh', '-ec', `exec 2>&1\n${script}`];
    return startProcess(command, args, { cwd: this.folder, env: this.env });
  }
}

/** As a terminal does: the whole group. */
function interrupt(pid: number): void {
  try {
    process.kill(-pid, 'SIGINT');
  } catch {
    // It has ended by itself.
  }
}

function compare(script: string, shown: string | undefined, printed: string): void {
  if (shown === undefined || isAsShown(shown, printed)) return;
  throw new Error(`${script}\n--- the document shows\n${shown}\n--- printed\n${printed}`);
}

/** @throws when the fragment cannot be read in its language. */
function read(language: string, text: string): void {
  if (language === 'json') for (const line of jsonTexts(text)) JSON.parse(line);
  else if (language === 'js') parseSync(text, { syntax: 'ecmascript' });
  else if (language === 'ts') parseSync(text, { syntax: 'typescript' });
  else throw new Error(`fragments in "${language}" cannot be read by the tests: mark the block as not run`);
}

/** One JSON text, or one on each line. */
function jsonTexts(text: string): string[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '');
  return lines.every((line) => /^\{.*\}$/.test(line)) ? lines : [text];
}
