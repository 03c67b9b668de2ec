import type { Clock } from '../core/clock.js';
import { effectiveDeadline } from '../core/deadline.js';
import { invalidFields, messageOf, TroupeError } from '../core/errors.js';
import { idViolation } from '../core/ids.js';
import type { EnvelopeReader } from '../link/envelope-reader.js';
import { notStarted } from '../runtime/refusals.js';
import type { OutgoingMessage } from './outgoing.js';

/** What is decided in more than one place of the routing of messages. */

/** Whether a message has what few have. */
export function hasRare({ id, headers, waitForRoom, atLeastOnce, demand }: OutgoingMessage): boolean {
  return waitForRoom || atLeastOnce || demand > 0 || id !== '' || headers.size > 0;
}

/** How a message is sent, as far as it may be tried again. */
export type Careful = Pick<OutgoingMessage, 'waitForRoom' | 'atLeastOnce'>;

/** Whether its sender tries again what is refused: then only he knows what is not delivered. */
export function isCareful({ waitForRoom, atLeastOnce }: Careful): boolean {
  return waitForRoom || atLeastOnce;
}

/** Why a message was not sent, where it was not the link's fault. */
export function asRefusal(error: unknown): TroupeError {
  return error instanceof TroupeError
    ? error
    : new TroupeError('INVALID_ARGUMENT', 'NOT_SENT', messageOf(error), { cause: error });
}

/** The same reader, with the deadline that counts. */
export function withDeadline(envelope: EnvelopeReader, clock: Clock): EnvelopeReader {
  const given = envelope.deadlineMs;
  envelope.deadlineMs = effectiveDeadline(clock.now(), given === 0 ? undefined : given);
  return envelope;
}

/** Whether a refusal says that the agent is not there any more: it may be elsewhere. */
export function isGone(error: TroupeError): boolean {
  return error.reason === 'UNKNOWN_AGENT' || error.reason === 'AGENT_NOT_RUNNING';
}

export function unknownAgent(agentId: string): TroupeError {
  const wrong = idViolation('to', agentId);
  if (wrong !== undefined) return invalidFields([wrong]);
  return new TroupeError(
    'NOT_FOUND',
    'UNKNOWN_AGENT',
    `no agent "${agentId}" in the cluster; \`troupe agents\` lists them`,
    notStarted(agentId),
  );
}

export function unknownOutcome(nodeId: string): TroupeError {
  return new TroupeError(
    'ABORTED',
    'OUTCOME_UNKNOWN',
    `the link to node "${nodeId}" broke after the message was sent: nobody knows whether it arrived`,
    { metadata: { node_id: nodeId } },
  );
}

export function tooMany(): TroupeError {
  return new TroupeError('RESOURCE_EXHAUSTED', 'TOO_MANY_PENDING', 'more than a million messages are under way here; try later', {
    metadata: { started: 'false' },
  });
}
