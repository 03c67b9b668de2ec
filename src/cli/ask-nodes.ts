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

export interface NodeAnswers<T> {
  readonly answers: ReadonlyMap<string, T>;
  /** What was thrown by those that are not among the answers. */
  readonly errors: ReadonlyMap<string, unknown>;
}

/** What each node answers, by its id. A node that does not answer is left out, and said so on standard error. */
export async function askNodes<T>(
  io: CliIo,
  command: Command,
  nodeIds: readonly string[],
  ask: (client: TroupeClient, nodeId: string) => Promise<T>,
): Promise<ReadonlyMap<string, T>> {
  const { answers, errors } = await answersOfNodes(io, command, nodeIds, ask);
  for (const [nodeId, error] of errors) warnOfNode(io, nodeId, error);
  return answers;
}

/** What each node answers, and why the others do not. */
export async function answersOfNodes<T>(
  io: CliIo,
  command: Command,
  nodeIds: readonly string[],
  ask: (client: TroupeClient, nodeId: string) => Promise<T>,
): Promise<NodeAnswers<T>> {
  const answers = new Map<string, T>();
  const errors = new Map<string, unknown>();
  // A client of its own: the time limit is the client's.
  await withClient(
    io,
    command,
    (client) =>
      mapBounded(nodeIds, AT_ONCE, async (nodeId) => {
        try {
          answers.set(nodeId, await ask(client, nodeId));
        } catch (error) {
          errors.set(nodeId, error);
        }
      }),
    { timeoutMs: PATIENCE_MS },
  );
  return { answers, errors };
}

export function warnOfNode(io: CliIo, nodeId: string, error: unknown): void {
  // A registry lists nodes, but does not forward to them.
  if (isTroupeError(error, 'UNIMPLEMENTED')) return;
  io.stderr(`warning: ${printable(`node ${nodeId} did not answer: ${messageOf(error)}`)}\n`);
}
