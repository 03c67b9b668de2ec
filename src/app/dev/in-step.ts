import type { TroupeClient } from '../../client/client.js';
import { delay } from '../../core/abort.js';
import { TroupeError } from '../../core/errors.js';

const POLL_MS = 20;

/** Resolves when the gateway has seen everything that the registry knows now. @throws DEADLINE_EXCEEDED. */
export async function gatewayInStep(troupe: TroupeClient, timeoutMs: number): Promise<void> {
  const { revision } = await troupe.stats();
  const seen = async () => ((await troupe.status()).view?.revision ?? 0n) >= revision;
  await pollUntil(seen, timeoutMs, 'the gateway did not catch up with the registry');
}

/** Asks again and again until `holds`. @throws DEADLINE_EXCEEDED. */
export async function pollUntil(holds: () => Promise<boolean>, timeoutMs: number, otherwise: string): Promise<void> {
  const until = performance.now() + timeoutMs;
  while (!(await holds())) {
    if (performance.now() > until) throw new TroupeError('DEADLINE_EXCEEDED', 'TOO_SLOW', `${otherwise} within ${timeoutMs} ms`);
    await delay(POLL_MS, AbortSignal.timeout(timeoutMs));
  }
}
