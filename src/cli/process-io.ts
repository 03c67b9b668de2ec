import type { Readable, Writable } from 'node:stream';
import { ExitError } from './errors.js';
import type { CliIo } from './io.js';

/** What is used of `process`. */
export interface ProcessLike {
  readonly stdin: Readable;
  readonly stdout: Writable & { readonly isTTY?: boolean };
  readonly stderr: Writable & { readonly isTTY?: boolean };
  readonly env: Readonly<Record<string, string | undefined>>;
}

/**
 * The world of this process. A reader that goes away (`troupe agents | head`) is no failure: what is left is not written, a
 * command that still works is called off, and the exit code is 0.
 */
export function processIo(options: {
  readonly interrupted: AbortSignal;
  readonly version: string;
  readonly process?: ProcessLike;
}): CliIo {
  const { interrupted, version, process: { stdin, stdout, stderr, env } = process } = options;
  const unread = new AbortController();
  for (const stream of [stdout, stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code !== 'EPIPE') throw error;
      if (stream === stdout) unread.abort(new ExitError(0));
    });
  }
  return {
    stdout: (content) => {
      if (!unread.signal.aborted) stdout.write(content);
    },
    stderr: (text) => {
      stderr.write(text);
    },
    stdin,
    isTTY: stdout.isTTY === true,
    errorIsTTY: stderr.isTTY === true,
    env,
    interrupted,
    signal: AbortSignal.any([interrupted, unread.signal]),
    version,
  };
}
