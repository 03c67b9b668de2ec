import type { AgentManifest } from '../agent/manifest.js';
import { TroupeError } from '../core/errors.js';

/** Marks a refusal that came before the agent saw the task: routers may send it elsewhere. */
export function notStarted(agentId: string): { readonly metadata: Readonly<Record<string, string>> } {
  return { metadata: { started: 'false', agent_id: agentId } };
}

/** A task or message that an agent got and hands back untouched: what it throws then is not its answer, but a refusal. */
export class NotBegun extends TroupeError {
  constructor(code: 'UNAVAILABLE' | 'RESOURCE_EXHAUSTED', reason: string, message: string, agentId: string) {
    super(code, reason, message, notStarted(agentId));
  }
}

/** An agent went without an answer to what it had got: whether it had begun is not known. */
export class Unanswered extends TroupeError {
  constructor(agentId: string) {
    super('UNAVAILABLE', 'AGENT_STOPPED', `agent "${agentId}" left before it had answered`, { metadata: { agent_id: agentId } });
  }
}

export function mailboxFull({ id, mailboxCapacity }: AgentManifest, retryAfterMs: number): TroupeError {
  return overloaded(
    id,
    'MAILBOX_FULL',
    `the mailbox of agent "${id}" is full (${mailboxCapacity} wait); try later, or deploy more agents of its capabilities`,
    `mailbox capacity ${mailboxCapacity}`,
    retryAfterMs,
  );
}

/** `waitMs`: until its turn would come; `serviceMs`: how long a task takes. */
export function wouldBeLate(
  { id }: AgentManifest,
  { waitMs, serviceMs, remainingMs }: Readonly<Record<'waitMs' | 'serviceMs' | 'remainingMs', number>>,
  retryAfterMs: number,
): TroupeError {
  const [wait, service, remaining] = [waitMs, serviceMs, remainingMs].map(Math.round);
  return overloaded(
    id,
    'WOULD_BE_LATE',
    `agent "${id}" would not be done in time: ${wait} ms to wait and ${service} ms to work, and ${remaining} ms are left; try later, or deploy more agents of its capabilities`,
    `a wait of ${wait} ms`,
    retryAfterMs,
  );
}

export function shed({ id, mailboxCapacity }: AgentManifest, retryAfterMs: number): TroupeError {
  return overloaded(
    id,
    'SHED',
    `the mailbox of agent "${id}" is full (${mailboxCapacity} wait), and this task made room for one of a higher priority; try later`,
    `mailbox capacity ${mailboxCapacity}`,
    retryAfterMs,
  );
}

/** `lastFailure`: why it is open. */
export function circuitOpen(agentId: string, nodeId: string, lastFailure: string, retryAfterMs: number): TroupeError {
  return new TroupeError(
    'UNAVAILABLE',
    'CIRCUIT_OPEN',
    `agent "${agentId}" has failed again and again and gets no tasks for a while; the last failure: ${lastFailure}`,
    { metadata: { ...notStarted(agentId).metadata, node_id: nodeId }, retryAfterMs },
  );
}

function overloaded(id: string, reason: string, message: string, quota: string, retryAfterMs: number): TroupeError {
  return new TroupeError('RESOURCE_EXHAUSTED', reason, message, {
    ...notStarted(id),
    retryAfterMs,
    violations: [{ field: `agent:${id}`, description: quota }],
  });
}
