import { type FieldViolation, invalidFields } from '../core/errors.js';
import { idViolation } from '../core/ids.js';
import type { PayloadInput } from '../core/payload.js';
import type { AgentContext, AgentTask, TaskContext } from './context.js';
import {
  capabilityViolations,
  DEFAULT_CONCURRENCY,
  DEFAULT_MAILBOX_CAPACITY,
  limitViolation,
  MAX_CONCURRENCY,
  MAX_MAILBOX_CAPACITY,
} from './manifest.js';

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
  /** Tasks that may wait for one agent, 1 to 100,000; 100 when not given. A full mailbox refuses with RESOURCE_EXHAUSTED. */
  readonly mailboxCapacity?: number;
  /** Checks the manifest's `config`, for example a zod schema. What it throws fails the deployment. */
  readonly config?: { parse(value: unknown): Config };
  /** Runs once before the first task; what it gives is `ctx.state`. What it throws fails the deployment. */
  readonly start?: (ctx: AgentContext<Config>) => State | Promise<State>;
  /**
   * Does one task. A returned string is text, bytes are data, all else is JSON. Throw a `TroupeError` to choose code and
   * reason that the caller sees; anything else becomes UNKNOWN / AGENT_ERROR with its message.
   */
  readonly run: (task: AgentTask, ctx: TaskContext<Config, State>) => PayloadInput | Promise<PayloadInput>;
  /** Runs once after the last task. */
  readonly stop?: (ctx: AgentContext<Config> & { readonly state: State }) => void | Promise<void>;
}

/** A kind of agent, checked and with its defaults filled in. */
export interface AgentDefinition<Config = unknown, State = unknown> extends AgentOptions<Config, State> {
  readonly [AGENT_DEFINITION]: true;
  readonly description: string;
  readonly concurrency: number;
  readonly mailboxCapacity: number;
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
    typeof options.run === 'function' ? undefined : { field: 'run', description: 'must be a function (task, ctx) => result' },
    isFunctionIfGiven(options.start) ? undefined : { field: 'start', description: 'must be a function (ctx) => state' },
    isFunctionIfGiven(options.stop) ? undefined : { field: 'stop', description: 'must be a function (ctx) => void' },
    options.config === undefined || typeof options.config?.parse === 'function'
      ? undefined
      : { field: 'config', description: 'must have a method parse(value), as zod schemas have' },
  ].filter((violation) => violation !== undefined);
  if (violations.length > 0) throw invalidFields(violations);
  return { ...options, description: options.description ?? '', concurrency, mailboxCapacity, [AGENT_DEFINITION]: true };
}

/** Authors in JavaScript have no compiler to tell them. */
function isFunctionIfGiven(value: unknown): boolean {
  return value === undefined || typeof value === 'function';
}

export function isAgentDefinition(value: unknown): value is AnyAgentDefinition {
  return typeof value === 'object' && value !== null && AGENT_DEFINITION in value;
}
