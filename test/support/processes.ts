import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { afterAll, afterEach, beforeEach } from '@jest/globals';

/** The root of the repository. */
export const ROOT = join(dirname(fileURLToPath(import.meta.url)), '..', '..');
const MAIN = join(ROOT, 'dist', 'src', 'app', 'main.js');
const STDERR_KEPT = 64 * 1024;

export interface ProcessOptions {
  /** Added to the environment of the tests; undefined takes a variable away. */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** A line that a role prints on standard output when it serves. */
export interface ReadyEvent {
  readonly event: 'ready';
  readonly [field: string]: unknown;
}

/** Runs the built command: `startTroupe(['node', '--port', '0'])`. Killed at the latest when the test (or the file) ends. */
export function startTroupe(args: readonly string[], options: ProcessOptions = {}): TestProcess {
  if (!existsSync(MAIN)) throw new Error('there is no dist/src/app/main.js; run `make build`');
  return startProcess(process.execPath, [MAIN, ...args], options);
}

export function startProcess(command: string, args: readonly string[], options: ProcessOptions = {}): TestProcess {
  const started = new TestProcess(command, args, options);
  running.set(started, inTest ? 'test' : 'file');
  void started.exit.then(() => running.delete(started));
  return started;
}

type Child = ChildProcessByStdio<null, Readable, Readable>;

export class TestProcess {
  /** Complete lines of standard output so far. */
  readonly lines: string[] = [];
  /** Resolves when it is gone and its output is read. */
  readonly exit: Promise<Exit>;
  private readonly name: string;
  private readonly child: Child;
  private readonly onLine = new Set<() => void>();
  private errors = '';
  private gone: Exit | undefined;

  constructor(command: string, args: readonly string[], options: ProcessOptions) {
    this.name = [command, ...args].join(' ');
    // A group of its own, so that what it started dies with it.
    this.child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
      cwd: options.cwd ?? ROOT,
      env: { ...process.env, NODE_OPTIONS: undefined, ...options.env },
    });
    this.child.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.errors = (this.errors + text).slice(-STDERR_KEPT);
    });
    createInterface({ input: this.child.stdout }).on('line', (line) => {
      this.lines.push(line);
      this.wake();
    });
    this.exit = this.watchExit();
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error(`could not start: ${this.name}`);
    return this.child.pid;
  }

  /** The last 64 KiB of standard error. */
  get stderr(): string {
    return this.errors;
  }

  /** The events that it logged: lines of standard error that are JSON. */
  get logs(): Record<string, unknown>[] {
    return this.errors.split('\n').flatMap((line) => {
      const event = parseObject(line);
      return event === undefined ? [] : [event];
    });
  }

  /** Its line `{"event":"ready",…}`. @throws when it ends or `timeoutMs` (20 s) passes first. */
  async ready(timeoutMs = 20_000): Promise<ReadyEvent> {
    return (await this.event((event) => event.event === 'ready', timeoutMs)) as ReadyEvent;
  }

  /** The first line of standard output, past or to come, that is a JSON object and matches. */
  async event(matches: (event: Record<string, unknown>) => boolean, timeoutMs = 20_000): Promise<Record<string, unknown>> {
    const isMatch = (line: string) => {
      const event = parseObject(line);
      return event !== undefined && matches(event);
    };
    return parseObject(await this.line(isMatch, timeoutMs)) ?? {};
  }

  /** The first line of standard output, past or to come, that matches. */
  line(matches: (line: string) => boolean, timeoutMs = 20_000): Promise<string> {
    return new Promise((resolve, reject) => {
      let seen = 0;
      const done = () => {
        clearTimeout(timer);
        this.onLine.delete(look);
      };
      const look = () => {
        for (; seen < this.lines.length; seen++) {
          const line = this.lines[seen] ?? '';
          if (!matches(line)) continue;
          done();
          return resolve(line);
        }
        if (this.gone === undefined) return;
        done();
        reject(this.failure(`ended with ${this.gone.signal ?? this.gone.code}`));
      };
      const timer = setTimeout(() => {
        done();
        reject(this.failure(`printed no such line within ${timeoutMs} ms`));
      }, timeoutMs);
      this.onLine.add(look);
      look();
    });
  }

  /** Sends `signal` to this process alone, and waits until it is gone (SIGSTOP and SIGCONT: not). */
  async kill(signal: NodeJS.Signals = 'SIGTERM'): Promise<Exit | undefined> {
    this.child.kill(signal);
    return signal === 'SIGSTOP' || signal === 'SIGCONT' ? undefined : await this.exit;
  }

  /** Kills it and what it started, at once. */
  async destroy(): Promise<void> {
    this.destroyNow();
    await this.exit;
  }

  destroyNow(): void {
    if (this.child.pid === undefined) return;
    try {
      process.kill(-this.child.pid, 'SIGKILL');
    } catch {
      // The group is gone already.
    }
  }

  private async watchExit(): Promise<Exit> {
    // `close` comes after `exit`, when the output is read to its end; a command that is not there gives `error`.
    const [code, signal] = (await once(this.child, 'close').catch((error: Error) => {
      this.errors += error.message;
      return [127, null];
    })) as [number | null, NodeJS.Signals | null];
    this.gone = { code, signal };
    this.wake();
    return this.gone;
  }

  private wake(): void {
    for (const look of [...this.onLine]) look();
  }

  private failure(what: string): Error {
    return new Error(
      `${this.name}\n${what}\nstandard output:\n${this.lines.slice(-20).join('\n')}\nstandard error:\n${this.errors}`,
    );
  }
}

function parseObject(line: string): Record<string, unknown> | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    return JSON.parse(line) as Record<string, unknown>;
  } catch {
    return undefined;
  }
}

/** What runs, and what it is for: a test that is running, or (started by beforeAll) the whole file. */
const running = new Map<TestProcess, 'test' | 'file'>();
let inTest = false;

async function destroyAll(owner: 'test' | 'file'): Promise<void> {
  await Promise.all([...running].filter(([, scope]) => scope === owner).map(([child]) => child.destroy()));
}

beforeEach(() => {
  inTest = true;
});
afterEach(async () => {
  inTest = false;
  await destroyAll('test');
});
afterAll(async () => {
  await destroyAll('file');
});
process.once('exit', () => {
  for (const child of running.keys()) child.destroyNow();
});
