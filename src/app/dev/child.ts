import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { TroupeError } from '../../core/errors.js';
import type { ReadyLine } from '../role.js';

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));
/** Of standard error, for the message when a process does not come up. */
const KEPT_LINES = 20;

export interface ChildOptions {
  readonly name: string;
  readonly args: readonly string[];
  readonly cwd: string;
  /** What it logs, line by line. */
  readonly onLog: (line: string) => void;
}

export interface ChildExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** One role in an OS process of its own. It ends when the process that started it is gone, however that went. */
export class Child {
  /** Resolves with the line that says it serves. @throws UNAVAILABLE / CHILD_FAILED when it ends before. */
  readonly ready: Promise<ReadyLine>;
  readonly exited: Promise<ChildExit>;
  private readonly process: ChildProcess;
  private readonly lastLines: string[] = [];

  constructor(private readonly options: ChildOptions) {
    // A group of its own: Ctrl-C reaches only the parent, which ends its children in order. The channel tells them when it is gone.
    this.process = spawn(process.execPath, [MAIN, ...options.args], {
      cwd: options.cwd,
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached: true,
    });
    this.exited = new Promise((resolve) => {
      this.process.once('error', () => resolve({ code: 1, signal: null }));
      this.process.once('close', (code, signal) => resolve({ code, signal }));
    });
    this.ready = this.waitUntilReady();
    this.ready.catch(() => undefined);
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null;
  }

  kill(signal: NodeJS.Signals): void {
    this.process.kill(signal);
  }

  private waitUntilReady(): Promise<ReadyLine> {
    const { stdout, stderr } = this.process;
    if (stdout === null || stderr === null) throw new RangeError('a child has pipes');
    createInterface({ input: stderr }).on('line', (line) => {
      this.lastLines.push(line);
      if (this.lastLines.length > KEPT_LINES) this.lastLines.shift();
      this.options.onLog(line);
    });
    return new Promise((resolve, reject) => {
      createInterface({ input: stdout }).on('line', (line) => resolve(JSON.parse(line) as ReadyLine));
      void this.exited.then(({ code, signal }) => reject(this.failure(code, signal)));
    });
  }

  private failure(code: number | null, signal: NodeJS.Signals | null): TroupeError {
    const said = this.lastLines.findLast((line) => line.startsWith('error: '))?.slice('error: '.length);
    const how = signal === null ? `exit code ${code}` : signal;
    return new TroupeError(
      'UNAVAILABLE',
      'CHILD_FAILED',
      `${this.options.name}: ${said ?? `ended with ${how}: ${this.lastLines.at(-1) ?? 'it said nothing'}`}`,
    );
  }
}
