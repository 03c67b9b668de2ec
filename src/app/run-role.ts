import { TroupeError } from '../core/errors.js';
import { stopAsked } from './interruption.js';
import type { RunningRole } from './role.js';

/**
 * Runs a role in this process: prints its ready line on standard output, drains when it is interrupted or the process that started it is gone, and
 * resolves when it has ended.
 */
export async function runRole(interrupted: AbortSignal, start: () => Promise<RunningRole>): Promise<void> {
  const asked = stopAsked(interrupted);
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

/** For a `start` that must not come to be called: what a command says when its options do not fit together. */
export function wrongUsage(message: string): TroupeError {
  return new TroupeError('INVALID_ARGUMENT', 'USAGE', message);
}
