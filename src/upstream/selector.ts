import type { PickRequest } from '../balancer/picker.js';
import { TroupeError } from '../core/errors.js';
import { AGENT_SERVICE } from '../core/instance.js';
import type { Target } from '../discovery/view.js';
import type { RetryBudget } from '../resilience/retry-budget.js';
import type { Destination, Destinations } from './destinations.js';
import type { HealthTable } from './health-table.js';
import type { RouteRequest } from './route-request.js';
import type { Verdict } from './verdict.js';

/** Picks from a list that is a moment old may be set aside by now. After so many of them in a row the list is made anew. */
const STALE_PICKS = 8;
/** Asked again before that, nobody new can be there. */
const RETRY_AFTER_MS = 1_000;
/** While somebody else's call shows whether a circuit can close. */
const TRIED_NOW_MS = 100;

/** Who gets a task: picks among those that are eligible, and asks the circuits on the way. */
export class Selector {
  constructor(
    private readonly destinations: Destinations,
    private readonly health: HealthTable,
  ) {}

  budgetOf({ agentId, capabilities, strategy }: RouteRequest): RetryBudget {
    return agentId === '' ? this.destinations.resolve(capabilities, strategy).retries : this.destinations.retriesOf(agentId);
  }

  /**
   * Whom to send it to; undefined when everybody is excluded. What it gives is let through and counted by the circuits: `end`
   * follows. `exclude` is told of those that must not be picked again. @throws, where `first`, when there is nobody at all.
   */
  select(
    request: RouteRequest,
    pickRequest: PickRequest,
    first: boolean,
    exclude: (target: Target) => ReadonlySet<string>,
  ): Target | undefined {
    if (request.agentId !== '') return this.selectById(request, pickRequest, first, exclude);
    let destination = this.destinations.resolve(request.capabilities, request.strategy);
    let asked = pickRequest;
    for (let misses = 0; ; misses++) {
      const target = destination.picker.pick(asked);
      if (target === undefined) break;
      if (this.passes(target, destination.panic)) return target;
      asked = { ...pickRequest, excluded: exclude(target) };
      if (misses === STALE_PICKS) destination = this.destinations.resolveAnew(request.capabilities, request.strategy);
    }
    if (first) throw nobody(request, destination, this.health);
    return undefined;
  }

  /** When a target was let through, for `end`. */
  eraOf(target: Target): number {
    return this.health.eraOf(target);
  }

  /** Accounts what a try told that was let through in `era`. */
  end(target: Target, verdict: Verdict, era: number): void {
    this.health.end(target, verdict, era);
  }

  /** Accounts what work told of its agent that goes on after its try. */
  judgeAgent(target: Target, verdict: Verdict): void {
    this.health.judgeAgent(target, verdict);
  }

  private passes(target: Target, panic: boolean): boolean {
    const { health } = this;
    if (!health.allWell && (panic ? health.isShut(target) : !health.isUsable(target))) return false;
    return health.begin(target);
  }

  private selectById(
    { agentId, capabilities }: RouteRequest,
    { excluded }: PickRequest,
    first: boolean,
    exclude: (target: Target) => ReadonlySet<string>,
  ): Target | undefined {
    const target = this.destinations.agent(agentId);
    if (target === undefined) {
      if (!first) return undefined;
      throw unknownAgent(agentId);
    }
    const missing = capabilities.filter((capability) => !target.instance.capabilities.includes(capability));
    if (missing.length > 0) {
      throw new TroupeError('FAILED_PRECONDITION', 'MISSING_CAPABILITY', `agent "${agentId}" does not offer ${list(missing)}`, {
        metadata: { agent_id: agentId },
      });
    }
    if (excluded?.has(target.key) === true) return undefined;
    // There is no other: it is asked unless that is certain to be in vain.
    if (this.passes(target, true)) return target;
    if (first) throw circuitOpen(`agent "${agentId}"`, [target], this.health);
    exclude(target);
    return undefined;
  }
}

function nobody(request: RouteRequest, { members }: Destination, health: HealthTable): TroupeError {
  const { capabilities } = request;
  if (members.length === 0) {
    return new TroupeError(
      'NOT_FOUND',
      'NO_AGENT',
      `no ${AGENT_SERVICE} offers ${list(capabilities)}; \`troupe agents\` lists what there is, \`troupe deploy\` adds one`,
      { metadata: { required_capabilities: capabilities.join(',') } },
    );
  }
  const serving = members.filter(({ instance }) => instance.status === 'up' || instance.status === 'degraded');
  if (serving.length > 0) return circuitOpen(`every agent that offers ${list(capabilities)}`, serving, health);
  return new TroupeError(
    'UNAVAILABLE',
    'NO_HEALTHY_AGENT',
    `${members.length} agents offer ${list(capabilities)}, but none of them is UP; try again, or see \`troupe agents\``,
    { retryAfterMs: RETRY_AFTER_MS, metadata: { started: 'false' } },
  );
}

/** All that could do it refuse calls for a while: says until when, and why. */
function circuitOpen(who: string, targets: readonly Target[], health: HealthTable): TroupeError {
  const reasons = targets.flatMap((target) => health.whyNot(target) ?? []);
  // None of them: a half-open one is being tried.
  const waits = reasons.length === 0 ? [TRIED_NOW_MS] : reasons.map(({ retryInMs }) => retryInMs ?? RETRY_AFTER_MS);
  const [why] = reasons;
  return new TroupeError(
    'UNAVAILABLE',
    'CIRCUIT_OPEN',
    `the circuit of ${who} is open${why === undefined ? '' : ` (${why.reason})`}; see \`troupe health\``,
    {
      retryAfterMs: Math.max(1, Math.ceil(Math.min(...waits))),
      metadata: { started: 'false' },
    },
  );
}

function unknownAgent(agentId: string): TroupeError {
  return new TroupeError('NOT_FOUND', 'UNKNOWN_AGENT', `no agent "${agentId}" in the cluster; \`troupe agents\` lists them`, {
    metadata: { agent_id: agentId },
  });
}

function list(capabilities: readonly string[]): string {
  return capabilities.map((capability) => `"${capability}"`).join(' and ');
}
