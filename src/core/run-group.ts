/** Something long-lived: runs until `signal` aborts, then cleans up and resolves. */
export type Runner = (signal: AbortSignal) => Promise<void>;

/**
 * Runs all of `runners` together: when `signal` aborts or one of them ends or throws, the others are told to end.
 * Resolves when all have ended. After oklog/run. @throws the first error that a runner threw.
 */
export async function runGroup(runners: readonly Runner[], signal: AbortSignal): Promise<void> {
  const controller = new AbortController();
  const stop = () => controller.abort(signal.reason);
  if (signal.aborted) stop();
  else signal.addEventListener('abort', stop, { once: true });
  const results = await Promise.allSettled(runners.map((run) => run(controller.signal).finally(() => controller.abort())));
  signal.removeEventListener('abort', stop);
  const failed = results.find((result) => result.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}
