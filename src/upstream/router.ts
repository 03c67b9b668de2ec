import type { PickRequest } from '../balancer/picker.js';
import type { StrategyName } from '../balancer/strategies.js';
import { delay } from '../core/abort.js';
import type { Clock } from '../core/clock.js';
import { deadlineExceeded, TroupeError } from '../core/errors.js';
import { AGENT_SERVICE } from '../core/instance.js';
import type { Random } from '../core/random.js';
import type { Target } from '../discovery/view.js';
import { backoffMs } from '../resilience/backoff.js';
import type { Destinations } from './destinations.js';
import { outcomeOf } from './outcome.js';

/** What a router needs to know of a task. */
export interface RouteRequest {
  /** All of these; empty where `agentId` says who. */
  readonly capabilities: readonly string[];
  /** '' for any agent. */
  readonly agentId: string;
  readonly strategy: StrategyName;
  readonly idempotent: boolean;
  /** Milliseconds since the epoch. */
  readonly deadlineMs: number;
}

/** One try: does the task on `target`. What it throws decides whether there is another. */
export type Attempt<T> = (target: Target, attempt: number) => Promise<T>;

export interface RouterDeps {
  readonly destinations: Destinations;
  readonly clock: Clock;
  readonly random: Random;
}

/** Tries of one task, all in all. */
const MAX_ATTEMPTS = 5;
/**
 * For so long an agent is asked again whose node is fenced: by then the node holds a lease again, or has left the view, or this
 * router knows as well that the registry is away.
 */
const FENCED_PATIENCE_MS = 3_000;
/** Before asking the same agents again, when none of them could be reached. */
const BACKOFF = { initialMs: 100, capMs: 1_000 };

/**
 * Finds an agent for a task, and another where the task certainly did not start: one layer, and the only one, that tries
 * again. A task whose outcome is unknown is repeated only if it is idempotent.
 */
export class Router {
  constructor(private readonly deps: RouterDeps) {}

  /**
   * @throws NOT_FOUND / NO_AGENT, UNKNOWN_AGENT; UNAVAILABLE / NO_HEALTHY_AGENT; ABORTED / OUTCOME_UNKNOWN; DEADLINE_EXCEEDED; CANCELLED when `signal`
   * says so between tries; or what the last try threw.
   */
  async route<T>(request: RouteRequest, attempt: Attempt<T>, signal?: () => AbortSignal): Promise<T> {
    let refused: Set<string> | undefined;
    let last: TroupeError | undefined;
    const { clock } = this.deps;
    const patientUntilMs = clock.monotonicMs() + FENCED_PATIENCE_MS;
    const isPatient = ({ reason }: TroupeError) => reason === 'NODE_FENCED' && clock.monotonicMs() < patientUntilMs;
    let tries = 0;
    let rounds = 0;
    for (;;) {
      const target = this.pick(request, refused, last === undefined);
      if (target === undefined) {
        // Everybody was asked. Who is full says so at once; who could not be reached may be back in a moment.
        rounds += 1;
        if (last === undefined || last.code === 'RESOURCE_EXHAUSTED') throw last ?? noAgent(request);
        if ((rounds >= MAX_ATTEMPTS && !isPatient(last)) || !(await this.pause(rounds, request, signal))) throw last;
        refused = undefined;
        continue;
      }
      tries += 1;
      target.load.begin();
      try {
        return await attempt(target, tries);
      } catch (error) {
        if (!(error instanceof TroupeError)) throw error;
        const outcome = outcomeOf(error);
        if (outcome === 'answered') throw error;
        if (outcome === 'unknown' && !request.idempotent) throw outcomeUnknown(target, error);
        if (tries >= MAX_ATTEMPTS && !isPatient(error)) throw outcome === 'unknown' ? outcomeUnknown(target, error) : error;
        last = error;
        refused ??= new Set();
        refused.add(target.key);
      } finally {
        target.load.end();
      }
      if (clock.now() >= request.deadlineMs) throw deadlineExceeded();
    }
  }

  private pick(request: RouteRequest, refused: ReadonlySet<string> | undefined, first: boolean): Target | undefined {
    if (request.agentId !== '') return this.pickById(request, refused, first);
    const { picker, matching } = this.deps.destinations.resolve(request.capabilities, request.strategy);
    const target = picker.pick(refused === undefined ? ANY : { excluded: refused });
    if (target !== undefined || !first) return target;
    if (matching === 0) throw noAgent(request);
    throw new TroupeError(
      'UNAVAILABLE',
      'NO_HEALTHY_AGENT',
      `${matching} agents offer ${list(request.capabilities)}, but none of them is UP; try again, or see \`troupe agents\``,
      {
        retryAfterMs: BACKOFF.capMs,
        metadata: { started: 'false' },
      },
    );
  }

  private pickById(
    { agentId, capabilities }: RouteRequest,
    refused: ReadonlySet<string> | undefined,
    first: boolean,
  ): Target | undefined {
    const target = this.deps.destinations.agent(agentId);
    if (target === undefined) {
      if (!first) return undefined;
      throw new TroupeError('NOT_FOUND', 'UNKNOWN_AGENT', `no agent "${agentId}" in the cluster; \`troupe agents\` lists them`, {
        metadata: { agent_id: agentId },
      });
    }
    const missing = capabilities.filter((capability) => !target.instance.capabilities.includes(capability));
    if (missing.length > 0) {
      throw new TroupeError('FAILED_PRECONDITION', 'MISSING_CAPABILITY', `agent "${agentId}" does not offer ${list(missing)}`, {
        metadata: { agent_id: agentId },
      });
    }
    return refused?.has(target.key) === true ? undefined : target;
  }

  /** False when the deadline leaves no time for another round. */
  private async pause(round: number, { deadlineMs }: RouteRequest, signal: (() => AbortSignal) | undefined): Promise<boolean> {
    const ms = backoffMs(round, BACKOFF, this.deps.random);
    if (this.deps.clock.now() + ms >= deadlineMs) return false;
    await delay(ms, signal?.() ?? NEVER, this.deps.clock);
    return true;
  }
}

const ANY: PickRequest = {};
const NEVER = new AbortController().signal;

function noAgent({ capabilities }: RouteRequest): TroupeError {
  return new TroupeError(
    'NOT_FOUND',
    'NO_AGENT',
    `no ${AGENT_SERVICE} offers ${list(capabilities)}; \`troupe agents\` lists what there is, \`troupe deploy\` adds one`,
    {
      metadata: { required_capabilities: capabilities.join(',') },
    },
  );
}

function outcomeUnknown({ instance }: Target, cause: TroupeError): TroupeError {
  return new TroupeError(
    'ABORTED',
    'OUTCOME_UNKNOWN',
    `node "${instance.nodeId}" was lost while agent "${instance.id}" had the task: it may have run; it is repeated only where the task says idempotent`,
    { metadata: { agent_id: instance.id, node_id: instance.nodeId }, cause },
  );
}

function list(capabilities: readonly string[]): string {
  return capabilities.map((capability) => `"${capability}"`).join(' and ');
}
