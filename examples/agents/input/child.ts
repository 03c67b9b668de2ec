import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

export interface ChildOptions {
  readonly args: readonly string[];
  readonly cwd: string;
  /** Ends the child, and all that it started, at once. */
  readonly signal: AbortSignal;
  /** Called for each line of its standard output, one after the other. */
  readonly onLine: (line: string) => void | Promise<void>;
}

export interface ChildExit {
  readonly exitCode: number | null;
  /** The last 8 KiB of its standard error. */
  readonly stderr: string;
}

const STDERR_CHARS = 8 * 1024;
/** A child gets no more of the environment than this: the rest may hold secrets. */
const PASSED_ON = ['PATH', 'HOME', 'TMPDIR', 'TEMP', 'LANG', 'SystemRoot'];

/** Runs Node.js as a child process to its end. When it returns or throws, the child's whole process group is gone. */
export async function runNode({ args, cwd, signal, onLine }: ChildOptions): Promise<ChildExit> {
  signal.throwIfAborted();
  const child = spawn(process.execPath, args, {
    cwd,
    env: Object.fromEntries(PASSED_ON.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]]))),
    stdio: ['ignore', 'pipe', 'pipe'],
    // Makes it the leader of a group of its own, so that its children can be ended with it.
    detached: true,
  });
  const exit = once(child, 'exit');
  exit.catch(() => undefined);
  const kill = () => killGroup(child);
  signal.addEventListener('abort', kill, { once: true });
  let stderr = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr = (stderr + text).slice(-STDERR_CHARS);
  });
  try {
    for await (const line of createInterface({ input: child.stdout, crlfDelay: Number.POSITIVE_INFINITY })) {
      signal.throwIfAborted();
      await onLine(line);
    }
    const [exitCode] = (await exit) as [number | null];
    signal.throwIfAborted();
    return { exitCode, stderr };
  } finally {
    signal.removeEventListener('abort', kill);
    kill();
    await exit.catch(() => undefined);
  }
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, 'SIGKILL');
  } catch {
    // The group is gone already, or the platform knows no groups.
    child.kill('SIGKILL');
  }
}
