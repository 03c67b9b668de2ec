import { delay } from '../core/abort.js';
import { MAX_TIMER_MS, systemClock } from '../core/clock.js';
import type { CliIo } from './io.js';

/** Waits. The process stays alive meanwhile, to which a clock's own timers do not lead. @throws TroupeError on Ctrl-C. */
export async function pause(io: CliIo, ms: number): Promise<void> {
  const alive = setInterval(() => undefined, MAX_TIMER_MS);
  try {
    await delay(ms, io.signal, io.clock ?? systemClock);
  } finally {
    clearInterval(alive);
  }
}
