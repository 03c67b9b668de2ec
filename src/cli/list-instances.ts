import type { TroupeClient } from '../client/client.js';
import { STALE_AFTER_MS } from '../discovery/view.js';
import type { Instance } from '../gen/troupe/v1/instance.js';
import { formatMs } from './format-ms.js';
import type { CliIo } from './io.js';

/** The nodes, and the instances of another service. While no registry answers, a gateway lists what it knew last: that is said on standard error. */
export async function listWithNodes(io: CliIo, client: TroupeClient, service: string): Promise<[nodes: Instance[], Instance[]]> {
  let oldestMs = 0;
  const onAge = (ageMs: number) => {
    oldestMs = Math.max(oldestMs, ageMs);
  };
  const lists = await Promise.all([client.instances({ service: 'node', onAge }), client.instances({ service, onAge })]);
  if (oldestMs > STALE_AFTER_MS)
    io.stderr(
      `warning: the registry is not reached: this is the cluster as it was ${formatMs(Math.round(oldestMs / 1_000) * 1_000)} ago\n`,
    );
  return lists;
}
