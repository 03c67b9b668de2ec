import { TroupeError } from '../core/errors.js';
import type { RunningRole } from './role.js';

/**
 * Runs a role in this process: prints its ready line on standard output, drains on SIGTERM, SIGINT, and when the process that
 * started it is gone, and resolves when it has ended. A second signal ends the process at once.
 */
export async function runRole(start: () => Promise<RunningRole>): Promise<void> {
  const asked = stopSignal();
  const role = await start();
  // In whose code it was is in its stack: mostly an agent's. What the process was about to do is unknown, so it does nothing more.
  process.on('uncaughtException', (error, origin) => {
    role.logger.error('an error that nothing caught ends the process', { origin, error });
    process.exit(1);
  });
  const stop = () => {
    // What does not end in its time is ended: whoever waits for this process must not wait for ever.
    setTimeout(() => process.exit(1), role.stopWithinMs).unref();
    return role.stop();
  };
  role.ready.then(
    (line) => process.stdout.write(`${JSON.stringify(line)}\n`),
    () => undefined,
  );
  await Promise.race([asked, role.done, failure(role)]);
  await stop();
}

/** Rejects when the role cannot become ready. */
async function failure(role: RunningRole): Promise<never> {
  await role.ready;
  return new Promise<never>(() => undefined);
}

/** Resolves when this process is asked to stop. */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    let asked = false;
    const ask = () => {
      if (asked) process.exit(130);
      asked = true;
      resolve();
    };
    process.on('SIGTERM', ask);
    process.on('SIGINT', ask);
    // A child of `troupe dev` has a channel to it, which breaks when that process is gone, however it went.
    if (process.channel === undefined) return;
    process.once('disconnect', resolve);
    // To wait for that must not keep a process alive that has ended.
    process.channel.unref();
  });
}

/** For a `start` that must not come to be called: what a command says when its options do not fit together. */
export function wrongUsage(message: string): TroupeError {
  return new TroupeError('INVALID_ARGUMENT', 'USAGE', message);
}
