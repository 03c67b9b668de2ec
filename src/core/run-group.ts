import { childController } from './abort.js';

/** Something long-lived: runs until `signal` aborts, then cleans up and resolves. */
export type Runner = (signal: AbortSignal) => Promise<void>;

/**
 * Runs all of `runners` together: when `signal` aborts or one of them ends or throws, the others are told to end.
 * Resolves when all have ended. After oklog/run. @throws what the first runner to throw threw: the cause, not what
 * followed from it.
 */
export async function runGroup(runners: readonly Runner[], signal: AbortSignal): Promise<void> {
  const { controller, release } = childController(signal);
  let failure: { readonly error: unknown } | undefined;
  await Promise.all(
    runners.map(async (run) => {
      try {
        await run(controller.signal);
      } catch (error) {
        failure ??= { error };
      } finally {
        controller.abort();
      }
    }),
  );
  release();
  if (failure !== undefined) throw failure.error;
}
