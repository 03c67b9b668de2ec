import { type AgentManifest, capabilityViolations, entryViolations, sizeViolations } from '../agent/manifest.js';
import { type FieldViolation, invalidFields } from '../core/errors.js';
import { idViolation } from '../core/ids.js';
import { type Random, randomName } from '../core/random.js';
import { patternViolation } from '../core/topic.js';
import type { Hello } from '../gen/troupe/v1/messaging.js';
import { MAX_CREDIT } from '../link/outbox.js';
import { msFromDuration } from '../rpc/codec/time.js';

/** What a program that attaches asks for, checked, and with its defaults filled in. */
export interface SessionOrder {
  /** Undefined: a client. */
  readonly agent: AgentManifest | undefined;
  readonly topics: readonly string[];
  /** How long it is waited for when its stream breaks; 0: not at all. */
  readonly graceMs: number;
  /** Envelopes that may be sent to it at first. */
  readonly credit: number;
}

/** The kind of all agents that are programs. */
export const ATTACHED_KIND = 'attached';

const MAX_TOPICS = 64;
const MAX_GRACE_MS = 300_000;
const DEFAULT_GRACE_MS = 10_000;
export const DEFAULT_CREDIT = 1_000;
/** What is appended to the id of a replica: "-" and six characters. */
const REPLICA_CHARS = 6;
const MAX_ID_CHARS = 63;

/** @throws INVALID_ARGUMENT naming every wrong field. */
export function readHello(hello: Hello, random: Random): SessionOrder {
  const violations = violationsOf(hello);
  if (violations.length > 0) throw invalidFields(violations);
  const { agentId, replica, topics } = hello;
  const id = replica ? `${agentId}-${randomName(random, REPLICA_CHARS)}` : agentId;
  return {
    agent: agentId === '' ? undefined : manifestOf(id, hello),
    topics: [...new Set(topics)],
    graceMs: graceOf(hello),
    credit: hello.credit || DEFAULT_CREDIT,
  };
}

function manifestOf(id: string, { capabilities, concurrency, mailboxCapacity, weight, metadata }: Hello): AgentManifest {
  return {
    id,
    kind: ATTACHED_KIND,
    capabilities,
    config: {},
    concurrency: concurrency || 1,
    mailboxCapacity: mailboxCapacity || 100,
    weight: weight || 1,
    adaptiveConcurrency: false,
    metadata: Object.fromEntries(metadata),
  };
}

function violationsOf(hello: Hello): FieldViolation[] {
  const { agentId, capabilities, topics, replica, credit } = hello;
  const violations = [
    ...capabilityViolations('hello.capabilities', capabilities),
    ...entryViolations('hello.metadata', hello.metadata),
    ...sizeViolations('hello.', given(hello), 'mailbox_capacity'),
    ...topicViolations('hello.topics', topics),
  ];
  const add = (violation: FieldViolation | undefined) => {
    if (violation !== undefined) violations.push(violation);
  };
  if (agentId !== '') add(idViolation('hello.agent_id', agentId));
  else if (capabilities.length > 0 || replica)
    add({ field: 'hello.agent_id', description: 'is required where there are capabilities, or where it is a replica' });
  if (replica && agentId.length > MAX_ID_CHARS - REPLICA_CHARS - 1)
    add({ field: 'hello.agent_id', description: `must be at most ${MAX_ID_CHARS - REPLICA_CHARS - 1} characters for a replica` });
  if (credit > MAX_CREDIT) add({ field: 'hello.credit', description: `must be 1 to ${MAX_CREDIT}` });
  const graceMs = graceOf(hello);
  if (!(graceMs >= 0 && graceMs <= MAX_GRACE_MS)) add({ field: 'hello.grace', description: 'must be 0 to 5 min' });
  return violations;
}

/** What is wrong with a list of topics to subscribe to: number and form. */
export function topicViolations(field: string, topics: readonly string[]): FieldViolation[] {
  if (topics.length > MAX_TOPICS) return [{ field, description: `at most ${MAX_TOPICS} are allowed, got ${topics.length}` }];
  return topics.flatMap((topic, index) => patternViolation(`${field}[${index}]`, topic) ?? []);
}

/** A 0 on the wire is what was not given. */
function given({ concurrency, mailboxCapacity, weight }: Hello) {
  return {
    concurrency: concurrency || undefined,
    mailboxCapacity: mailboxCapacity || undefined,
    weight: weight || undefined,
  };
}

function graceOf({ grace }: Hello): number {
  return grace === undefined ? DEFAULT_GRACE_MS : msFromDuration(grace);
}
