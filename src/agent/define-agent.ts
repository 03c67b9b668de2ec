import { type FieldViolation, invalidFields } from '../core/errors.js';
import { idViolation } from '../core/ids.js';
import type { PayloadInput } from '../core/payload.js';
import { patternViolation } from '../core/topic.js';
import type { AgentContext, AgentTask, MessageContext, TaskContext } from './context.js';
import {
  capabilityViolations,
  DEFAULT_CONCURRENCY,
  DEFAULT_MAILBOX_CAPACITY,
  limitViolation,
  MAX_CONCURRENCY,
  MAX_MAILBOX_CAPACITY,
} from './manifest.js';
import type { AgentMessage } from './messages.js';

/** When an agent gets no more tasks for a while because those before failed. */
export interface CircuitOptions {
  /** Failures in a row, 1 to 1,000; 5 when not given. */
  readonly failures?: number | undefined;
  /** How long it gets none the first time, 1 ms to 1 h; 5 s when not given. Doubles each time that the task which is then tried fails. */
  readonly openMs?: number | undefined;
  /** The longest that it gets none, `openMs` to 1 h; 60 s, or `openMs` if that is longer, when not given. */
  readonly maxOpenMs?: number | undefined;
}

/** What an author writes. `Config` is what `config.parse` gives, `State` what `start` gives. */
export interface AgentOptions<Config, State> {
  /** Names the kind in manifests. Matches `^[a-z0-9][a-z0-9._-]{0,62}$`. */
  readonly kind: string;
  /** What it is for, in a line. */
  readonly description?: string;
  /** What its agents offer; a manifest may narrow or change it. 1 to 64. */
  readonly capabilities: readonly string[];
  /** Tasks that one agent works on at once, 1 to 10,000; 1 when not given. */
  readonly concurrency?: number;
  /**
   * Tasks that may wait for one agent, 1 to 100,000; 100 when not given. A task is refused with RESOURCE_EXHAUSTED when the
   * mailbox is full and holds nothing less urgent, and when it would not be done before its deadline.
   */
  readonly mailboxCapacity?: number;
  /**
   * Whether an agent works on fewer tasks at once than `concurrency` allows while more only make each of them slower; false when not
   * given. For work whose limit is not known, such as calls of a service that many share.
   */
  readonly adaptiveConcurrency?: boolean;
  /**
   * An agent whose tasks fail again and again gets none for a while: it refuses them with UNAVAILABLE / CIRCUIT_OPEN, and routers
   * send them elsewhere. Failures are UNKNOWN (whatever is thrown that is no TroupeError), INTERNAL, UNAVAILABLE and DATA_LOSS,
   * and a deadline that passes after the agent has worked for at least 1 s. RESOURCE_EXHAUSTED and CANCELLED say nothing, and all
   * else that it throws is an answer: it works. False: never.
   */
  readonly circuit?: false | CircuitOptions;
  /** Checks the manifest's `config`, for example a zod schema. What it throws fails the deployment. */
  readonly config?: { parse(value: unknown): Config };
  /** Runs once before the first task; what it gives is `ctx.state`. What it throws fails the deployment. */
  readonly start?: (ctx: AgentContext<Config>) => State | Promise<State>;
  /**
   * Does one task. A returned string is text, bytes are data, all else is JSON. Throw a `TroupeError` to choose code and
   * reason that the caller sees; anything else becomes UNKNOWN / AGENT_ERROR with its message.
   */
  readonly run: (task: AgentTask, ctx: TaskContext<Config, State>) => PayloadInput | Promise<PayloadInput>;
  /**
   * Handles one message, of a sender or a topic: what it returns is the answer where one is wanted. Up to `concurrency` at once, beside the tasks, and in the
   * order of arrival where that is 1. What it throws is the answer as with `run`; of a message without one it goes to the log and the dead letters.
   * An agent without it gets no messages.
   */
  readonly receive?: (message: AgentMessage, ctx: MessageContext<Config, State>) => unknown;
  /** Topics that its agents subscribe to, at most 64: as `ctx.subscribe` takes them. */
  readonly topics?: readonly string[];
  /** Runs once after the last task. */
  readonly stop?: (ctx: AgentContext<Config> & { readonly state: State }) => void | Promise<void>;
}

/** A kind of agent, checked and with its defaults filled in. */
export interface AgentDefinition<Config = unknown, State = unknown> extends AgentOptions<Config, State> {
  readonly [AGENT_DEFINITION]: true;
  readonly description: string;
  readonly concurrency: number;
  readonly mailboxCapacity: number;
  readonly adaptiveConcurrency: boolean;
  readonly circuit: false | CircuitOptions;
  readonly topics: readonly string[];
}

/** A definition whatever its types: what hosts hold. */
// biome-ignore lint/suspicious/noExplicitAny: config and state are opaque to hosts and differ from kind to kind.
export type AnyAgentDefinition = AgentDefinition<any, any>;

/** Marks definitions even when an agent's package brings its own copy of this module. */
const AGENT_DEFINITION: unique symbol = Symbol.for('troupe.dev/agent-definition') as never;

/**
 * Makes a kind of agent that nodes can activate.
 *
 * @example
 * export default defineAgent({
 *   kind: 'greeter',
 *   capabilities: ['greeting'],
 *   run: (task) => ({ hello: task.text() }),
 * });
 *
 * @throws TroupeError INVALID_ARGUMENT naming every wrong field.
 */
export function defineAgent<Config = unknown, State = undefined>(
  options: AgentOptions<Config, State>,
): AgentDefinition<Config, State> {
  const concurrency = options.concurrency ?? DEFAULT_CONCURRENCY;
  const mailboxCapacity = options.mailboxCapacity ?? DEFAULT_MAILBOX_CAPACITY;
  const adaptiveConcurrency = options.adaptiveConcurrency ?? false;
  const circuit = options.circuit ?? {};
  const topics = options.topics ?? [];
  const violations: FieldViolation[] = [
    idViolation('kind', String(options.kind ?? '')),
    ...(Array.isArray(options.capabilities)
      ? capabilityViolations('capabilities', options.capabilities)
      : [{ field: 'capabilities', description: 'must be an array of names' }]),
    Array.isArray(options.capabilities) && options.capabilities.length === 0
      ? { field: 'capabilities', description: 'must name at least one' }
      : undefined,
    limitViolation('concurrency', concurrency, MAX_CONCURRENCY),
    limitViolation('mailboxCapacity', mailboxCapacity, MAX_MAILBOX_CAPACITY),
    typeof adaptiveConcurrency === 'boolean' ? undefined : { field: 'adaptiveConcurrency', description: 'must be true or false' },
    ...circuitViolations(circuit),
    typeof options.run === 'function' ? undefined : { field: 'run', description: 'must be a function (task, ctx) => result' },
    isFunctionIfGiven(options.receive)
      ? undefined
      : { field: 'receive', description: 'must be a function (message, ctx) => answer' },
    ...topicViolations(topics, options.receive),
    isFunctionIfGiven(options.start) ? undefined : { field: 'start', description: 'must be a function (ctx) => state' },
    isFunctionIfGiven(options.stop) ? undefined : { field: 'stop', description: 'must be a function (ctx) => void' },
    options.config === undefined || typeof options.config?.parse === 'function'
      ? undefined
      : { field: 'config', description: 'must have a method parse(value), as zod schemas have' },
  ].filter((violation) => violation !== undefined);
  if (violations.length > 0) throw invalidFields(violations);
  return {
    ...options,
    description: options.description ?? '',
    concurrency,
    mailboxCapacity,
    adaptiveConcurrency,
    circuit,
    topics,
    [AGENT_DEFINITION]: true,
  };
}

const MAX_FAILURES = 1_000;
const MAX_OPEN_MS = 3_600_000;

function circuitViolations(circuit: false | CircuitOptions): (FieldViolation | undefined)[] {
  if (circuit === false) return [];
  if (typeof circuit !== 'object' || circuit === null)
    return [{ field: 'circuit', description: 'must be false, or an object of failures, openMs and maxOpenMs' }];
  const { failures, openMs, maxOpenMs } = circuit;
  const wrong = [
    failures === undefined ? undefined : limitViolation('circuit.failures', failures, MAX_FAILURES),
    openMs === undefined ? undefined : limitViolation('circuit.openMs', openMs, MAX_OPEN_MS),
    maxOpenMs === undefined ? undefined : limitViolation('circuit.maxOpenMs', maxOpenMs, MAX_OPEN_MS),
  ].filter((violation) => violation !== undefined);
  if (wrong.length > 0 || openMs === undefined || maxOpenMs === undefined || maxOpenMs >= openMs) return wrong;
  return [{ field: 'circuit.maxOpenMs', description: 'must be at least openMs' }];
}

const MAX_TOPICS = 64;

function topicViolations(topics: readonly string[], receive: unknown): (FieldViolation | undefined)[] {
  if (!Array.isArray(topics)) return [{ field: 'topics', description: 'must be an array of topics' }];
  if (topics.length > MAX_TOPICS)
    return [{ field: 'topics', description: `at most ${MAX_TOPICS} are allowed, got ${topics.length}` }];
  if (topics.length > 0 && receive === undefined)
    return [{ field: 'topics', description: 'need `receive`, which gets what is broadcast to them' }];
  return topics.map((topic, index) => patternViolation(`topics[${index}]`, String(topic)));
}

/** Authors in JavaScript have no compiler to tell them. */
function isFunctionIfGiven(value: unknown): boolean {
  return value === undefined || typeof value === 'function';
}

export function isAgentDefinition(value: unknown): value is AnyAgentDefinition {
  return typeof value === 'object' && value !== null && AGENT_DEFINITION in value;
}
