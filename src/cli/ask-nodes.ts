import type { Command } from 'commander';
import type { TroupeClient } from '../client/client.js';
import { isTroupeError, messageOf } from '../core/errors.js';
import { withClient } from './cluster.js';
import type { CliIo } from './io.js';
import { mapBounded } from './map-bounded.js';
import { printable } from './printable.js';

/** A node that needs longer is shown without what only it knows. */
const PATIENCE_MS = 2_000;
const AT_ONCE = 64;

/** What each node answers, by its id. A node that does not answer is left out, and said so on standard error. */
export async function askNodes<T>(
  io: CliIo,
  command: Command,
  nodeIds: readonly string[],
  ask: (client: TroupeClient, nodeId: string) => Promise<T>,
): Promise<ReadonlyMap<string, T>> {
  // A client of its own: the time limit is the client's.
  const answers = await withClient(
    io,
    command,
    (client) =>
      mapBounded(nodeIds, AT_ONCE, async (nodeId) => {
        try {
          return [[nodeId, await ask(client, nodeId)] as const];
        } catch (error) {
          // A registry lists nodes, but does not forward to them.
          if (!isTroupeError(error, 'UNIMPLEMENTED') && !io.signal.aborted)
            io.stderr(`warning: node ${nodeId} did not answer: ${printable(messageOf(error))}\n`);
          return [];
        }
      }),
    { timeoutMs: PATIENCE_MS },
  );
  return new Map(answers.flat());
}
