import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { ROOT } from './processes.js';

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly ms: number;
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Default 30,000. */
  readonly timeoutMs?: number;
}

/** Runs a command to its end; killed, with code -1, when that takes longer than its timeout. */
export function runCommand(
  file: string,
  args: readonly string[],
  { env, cwd = ROOT, timeoutMs = 30_000 }: CommandOptions = {},
): Promise<Ran> {
  const startedAt = performance.now();
  return new Promise((resolve) => {
    execFile(
      file,
      args,
      { cwd, timeout: timeoutMs, killSignal: 'SIGKILL', env: { ...process.env, NODE_OPTIONS: '', NO_COLOR: '1', ...env } },
      (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
        resolve({ code, stdout, stderr, ms: performance.now() - startedAt });
      },
    );
  });
}

const MAIN = join(ROOT, 'dist', 'src', 'app', 'main.js');

/** Runs the built command to its end. */
export function runTroupe(args: readonly string[], options: CommandOptions = {}): Promise<Ran> {
  return runCommand(process.execPath, [MAIN, ...args], options);
}
