import type { Clock } from '../core/clock.js';
import { invalidArgument, isTroupeError, TroupeError } from '../core/errors.js';
import { ID_RULE, isId } from '../core/ids.js';
import { RateLimiter } from '../resilience/rate-limiter.js';
import type { RoutingPolicy } from './routing-policy.js';

/** By this header a caller says who it is. Nobody proves it: limits keep the careless apart, not the malicious. */
export const CALLER_HEADER = 'troupe-caller';

/** What admission needs of a call. */
export interface Caller {
  readonly peer: string;
  header(name: string): string | undefined;
}

/** Holds tasks to the rates of a policy, where they enter the cluster: each router for itself. */
export class Admission {
  private readonly callers: RateLimiter | undefined;
  private readonly capabilities: RateLimiter | undefined;

  constructor(policy: RoutingPolicy, clock: Clock) {
    if (policy.perCaller !== undefined || policy.callers.size > 0)
      this.callers = new RateLimiter((name) => policy.callers.get(name) ?? policy.perCaller, clock);
    if ([...policy.capabilities.values()].some(({ rateLimit }) => rateLimit !== undefined))
      this.capabilities = new RateLimiter((name) => policy.capabilities.get(name)?.rateLimit, clock);
  }

  /** @throws RESOURCE_EXHAUSTED / RATE_LIMITED with RetryInfo, INVALID_ARGUMENT for a caller's name that is none. */
  admitCaller(caller: Caller): void {
    if (this.callers === undefined) return;
    const name = nameOf(caller);
    const waitMs = this.callers.take(name);
    if (waitMs > 0) throw rateLimited(`caller "${name}"`, `caller:${name}`, waitMs);
  }

  /** A task that is refused uses up nothing of any capability. @throws RESOURCE_EXHAUSTED / RATE_LIMITED with RetryInfo. */
  admitTask(capabilities: readonly string[]): void {
    const refusal = this.capabilities?.takeAll(capabilities);
    if (refusal === undefined) return;
    const { key: name, waitMs } = refusal;
    throw rateLimited(`capability "${name}"`, `capability:${name}`, waitMs);
  }
}

/** What it says, or the address that it comes from. */
function nameOf(caller: Caller): string {
  const given = caller.header(CALLER_HEADER);
  if (given === undefined) return caller.peer.replace(/:\d+$/, '');
  if (!isId(given)) throw invalidArgument(CALLER_HEADER, ID_RULE);
  return given;
}

/** Whether it says that a router refused a task by its policy. */
export function isRateLimited(error: unknown): boolean {
  return isTroupeError(error, RATE_LIMITED) && error.metadata.started === 'false';
}

const RATE_LIMITED = 'RATE_LIMITED';

function rateLimited(who: string, subject: string, waitMs: number): TroupeError {
  return new TroupeError('RESOURCE_EXHAUSTED', RATE_LIMITED, `${who} has used up its rate at this router; try again later`, {
    metadata: { started: 'false' },
    retryAfterMs: Math.max(1, Math.ceil(waitMs)),
    violations: [{ field: subject, description: 'tasks a second, as the routing policy allows' }],
  });
}
