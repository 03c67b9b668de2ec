import { aborted } from '../core/abort.js';

/** What is asked to end a second time ends at once, with the exit code of an interrupted command. */
const INTERRUPTED = 130;

/**
 * Aborts when this process is asked to end, by SIGINT or SIGTERM; a second signal ends it at once. Called first of all, and once: a signal that came before
 * would end the process as it stands, and one that came between two handlers would be lost.
 */
export function interruption(): AbortSignal {
  const controller = new AbortController();
  const ask = () => {
    if (controller.signal.aborted) process.exit(INTERRUPTED);
    controller.abort();
  };
  // SIGTERM too: the first process of a container would not even notice it otherwise.
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, ask);
  return controller.signal;
}

/** Resolves when this process is asked to end, or when the one that started it is gone. */
export function stopAsked(interrupted: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    void aborted(interrupted).then(resolve);
    // A child of `troupe dev` has a channel to it, which breaks when that process is gone, however it went.
    if (process.channel === undefined) return;
    process.once('disconnect', resolve);
    // To wait for that must not keep a process alive that has ended.
    process.channel.unref();
  });
}
