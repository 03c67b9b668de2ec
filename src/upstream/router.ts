import type { LoadReport } from '../balancer/load.js';
import type { Target } from '../discovery/view.js';
import { type Attempt, Route, type RouteDeps, type Told } from './route.js';
import type { RouteRequest } from './route-request.js';
import type { Verdict } from './verdict.js';

/** Finds agents for tasks. */
export class Router {
  constructor(private readonly deps: RouteDeps) {}

  /** A task on its way: `run` sends it. */
  route<T>(request: RouteRequest, attempt: Attempt<T>, told?: Told<T>): Route<T> {
    return new Route(this.deps, request, attempt, told);
  }

  /** Asks the retry budget for a try beyond those of one route: a stream that is begun anew. */
  mayRepeat(request: RouteRequest): boolean {
    return this.deps.selector.budgetOf(request).tryWithdraw();
  }

  /**
   * Counts work that goes on at `target` after its try has ended: a stream that has begun. What it gives is called once, with what
   * the rest told.
   */
  hold(target: Target): (verdict: Verdict, load?: LoadReport) => void {
    const { selector, clock } = this.deps;
    const era = selector.eraOf(target);
    target.load.begin();
    return (verdict, load) => {
      target.load.end();
      if (load !== undefined) target.load.report(load, clock.monotonicMs());
      // That the node was reached is accounted already.
      if (verdict.kind === 'unreachable') selector.end(target, verdict, era);
      else selector.judgeAgent(target, verdict);
    };
  }
}
