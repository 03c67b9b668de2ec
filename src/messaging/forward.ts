import { TroupeError } from '../core/errors.js';
import { EnvelopeKind } from '../gen/troupe/v1/envelope.js';
import type { EnvelopeReader } from '../link/envelope-reader.js';
import type { OutgoingEnvelope } from '../link/envelope-writer.js';
import type { FrameContent } from '../link/frame-content.js';
import type { DeliveryParts } from '../runtime/delivery.js';

/** Processes that may pass a message on. */
export const MAX_HOPS = 8;

/** A message for an agent that is elsewhere. */
export interface ForwardedMessage extends DeliveryParts {
  readonly content: FrameContent;
  readonly atLeastOnce: boolean;
  /** Why it cannot go to `nodeId`: it has been there, or at too many. */
  cycle(nodeId: string): TroupeError | undefined;
  /** As it goes on. */
  envelope(): OutgoingEnvelope;
}

/** `cameFrom`: the process that sent it here, `here`: this one. */
export function forwardOf(reader: EnvelopeReader, cameFrom: string, here: string): ForwardedMessage {
  const { kind, correlationId, id, from, to, topic, deadlineMs, headers, waitForRoom, atLeastOnce, demand, content } = reader;
  const { hops, fromNode } = reader;
  const visitedNodes = [...reader.visitedNodes, here];
  return {
    kind,
    correlationId,
    id,
    from,
    to,
    topic,
    deadlineMs,
    headers,
    waitForRoom,
    atLeastOnce,
    fromNode,
    demand,
    content,
    cycle(nodeId) {
      if (hops < MAX_HOPS && !visitedNodes.includes(nodeId)) return undefined;
      const visited = [...visitedNodes, nodeId].join(', ');
      return new TroupeError('FAILED_PRECONDITION', 'FORWARD_CYCLE', `agent "${to}" is looked for in circles: ${visited}`, {
        metadata: { started: 'false', agent_id: to, visited_nodes: visited },
      });
    },
    envelope: () => ({
      kind: kind === 'send' ? EnvelopeKind.ENVELOPE_KIND_SEND : EnvelopeKind.ENVELOPE_KIND_REQUEST,
      correlationId,
      from,
      to,
      topic,
      content,
      deadlineMs,
      sequence: 0,
      rare: {
        id,
        headers,
        waitForRoom,
        atLeastOnce,
        demand,
        hops: hops + 1,
        fromNode: fromNode === '' ? cameFrom : fromNode,
        visitedNodes,
      },
    }),
  };
}
