import type { Clock } from '../core/clock.js';
import { isTroupeError, type TroupeError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import type { Target } from '../discovery/view.js';
import type { OutcomeEnvelope } from '../gen/troupe/internal/v1/link.js';
import type {
  RoutedExecuteTaskRequest,
  RoutedExecuteTaskResponse,
  RoutedStreamTaskRequest,
  RoutedStreamTaskResponse,
} from '../gen/troupe/internal/v1/routed.js';
import type { Links } from '../link/links.js';
import type { Peer } from '../link/peer.js';
import type { ChannelPool } from '../rpc/channels.js';
import { type ExecuteOptions, type Execution, type LocalTasks, type Place, placeOf, type TaskExecutor } from './executor.js';
import { PlainCalls } from './plain-calls.js';
import { SentTasks } from './sent-tasks.js';

export interface NodeTaskExecutorDeps {
  /** They tell this executor what comes over them. */
  readonly links: Pick<Links, 'to'>;
  readonly channels: ChannelPool;
  readonly clock: Clock;
  readonly random: Random;
}

/** Does tasks on other nodes over links (by calls where a node does not know links), and on this one directly. */
export class NodeTaskExecutor implements TaskExecutor {
  private readonly sent: SentTasks;
  private readonly calls: PlainCalls;
  /** Those that were written against the public contract alone. */
  private readonly withoutLinks = new WeakSet<Peer>();

  constructor(
    private readonly deps: NodeTaskExecutorDeps,
    private readonly local?: LocalTasks,
  ) {
    this.sent = new SentTasks(deps);
    this.calls = new PlainCalls(deps.channels, deps.clock);
  }

  execute(target: Target, request: RoutedExecuteTaskRequest, options: ExecuteOptions): Execution {
    const place = placeOf(target);
    if (this.local?.nodeId === place.nodeId) return this.local.execute(request, options);
    const peer = this.deps.links.to(place.nodeId);
    if (peer.isUp) return this.sent.execute(peer, request, options);
    if (this.withoutLinks.has(peer)) return this.calls.execute(place, request, options);
    let current = this.sent.execute(peer, request, options);
    const response = current.response.catch((error: unknown): Promise<RoutedExecuteTaskResponse> => {
      if (!isUnsupported(error)) throw error;
      current = this.calls.execute(place, request, options);
      return current.response;
    });
    return { response, cancel: () => current.cancel() };
  }

  async *stream(
    place: Place,
    request: RoutedStreamTaskRequest,
    options: ExecuteOptions & { readonly signal: AbortSignal },
  ): AsyncGenerator<RoutedStreamTaskResponse, void, undefined> {
    if (this.local?.nodeId === place.nodeId) return yield* this.local.stream(request, options);
    const peer = this.deps.links.to(place.nodeId);
    if (peer.isUp || !this.withoutLinks.has(peer)) {
      try {
        return yield* this.sent.stream(peer, request, options);
      } catch (error) {
        if (!isUnsupported(error)) throw error;
      }
    }
    yield* this.calls.stream(place, request, options);
  }

  // What comes from links.

  outcome(peer: Peer, outcome: OutcomeEnvelope): void {
    this.sent.outcome(peer, outcome);
  }

  broken(peer: Peer, error: TroupeError): void {
    this.sent.broken(peer, error);
    if (error.reason === 'NODE_LOST') this.calls.lost(peer.nodeId, error);
  }

  unsent(peer: Peer, error: TroupeError): void {
    if (isUnsupported(error)) this.withoutLinks.add(peer);
    this.sent.unsent(peer, error);
  }
}

function isUnsupported(error: unknown): boolean {
  return isTroupeError(error, 'LINK_UNSUPPORTED');
}
