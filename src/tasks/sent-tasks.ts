import type { Clock } from '../core/clock.js';
import { abortError, deadlineExceeded, TroupeError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import { type OutcomeEnvelope, TaskEnvelope } from '../gen/troupe/internal/v1/link.js';
import type {
  RoutedExecuteTaskRequest,
  RoutedExecuteTaskResponse,
  RoutedStreamTaskRequest,
  RoutedStreamTaskResponse,
} from '../gen/troupe/internal/v1/routed.js';
import { notSent, type Peer } from '../link/peer.js';
import { encodeMessage } from '../rpc/encode.js';
import { fromStatusMessage } from '../rpc/status.js';
import type { TraceHeaders } from '../telemetry/trace-headers.js';
import type { ExecuteOptions, Execution } from './executor.js';
import { StreamedOutcomes } from './streamed-outcomes.js';

/** Deadlines are kept to within this: the node keeps them too, and callers their own. */
const SWEEP_MS = 50;
const MAX_ID = 0xffff_ffff;

type Content = NonNullable<TaskEnvelope['content']>;
type Outcome = OutcomeEnvelope['outcome'];

/** A task whose end has not come. */
interface Pending {
  readonly deadlineMs: number;
  /** The frame that it is in. */
  frame: number;
  /** Gives whether more comes. */
  outcome(outcome: Outcome): boolean;
  failed(error: TroupeError): void;
}

/** What one peer has to do. */
interface Exchange {
  readonly pending: Map<number, Pending>;
  lastId: number;
}

export interface SentTasksDeps {
  readonly clock: Clock;
  readonly random: Random;
}

/**
 * Tasks that this process sends over links, until what became of them is here. What is on a link that breaks has an unknown outcome; what was
 * not sent certainly did not start, and says so.
 */
export class SentTasks {
  private readonly exchanges = new Map<Peer, Exchange>();
  private cancelSweep: (() => void) | undefined;

  constructor(private readonly deps: SentTasksDeps) {}

  execute(peer: Peer, request: RoutedExecuteTaskRequest, { deadlineMs, trace }: ExecuteOptions): Execution {
    let id = 0;
    const response = new Promise<RoutedExecuteTaskResponse>((resolve, reject) => {
      const outcome = (of: Outcome): false => {
        if (of?.$case === 'response') resolve(of.value);
        else reject(errorOf(of));
        return false;
      };
      id = this.send(peer, { deadlineMs, frame: 0, outcome, failed: reject }, { $case: 'execute', value: request }, trace);
    });
    return { response, cancel: () => this.callOff(peer, id, new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled')) };
  }

  /** As TaskExecutor.stream. */
  async *stream(
    peer: Peer,
    request: RoutedStreamTaskRequest,
    { deadlineMs, trace, signal }: ExecuteOptions & { readonly signal: AbortSignal },
  ): AsyncGenerator<RoutedStreamTaskResponse, void, undefined> {
    if (signal.aborted) throw abortError(signal);
    const outcomes = new StreamedOutcomes((messages) => tell(peer, id, { $case: 'demand', value: messages }));
    const outcome = (of: Outcome) => {
      if (of?.$case === 'event') outcomes.push(of.value);
      else if (of?.$case === 'end') outcomes.complete();
      else outcomes.fail(errorOf(of));
      return of?.$case === 'event';
    };
    const pending = { deadlineMs, frame: 0, outcome, failed: (error: TroupeError) => outcomes.fail(error) };
    const id = this.send(peer, pending, { $case: 'stream', value: request }, trace);
    const onAbort = () => this.callOff(peer, id, abortError(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      yield* outcomes;
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.callOff(peer, id, new TroupeError('CANCELLED', 'CANCELLED', 'the reader of the stream has gone'));
    }
  }

  // What comes from links.

  outcome(peer: Peer, { id, outcome }: OutcomeEnvelope): void {
    const pending = this.exchanges.get(peer)?.pending.get(id);
    if (pending !== undefined && !pending.outcome(outcome)) this.take(peer, id);
  }

  /** A link broke, for whatever reason: the peer's agents may have done what was on it. */
  broken(peer: Peer, error: TroupeError): void {
    this.fail(peer, ({ frame }) => !peer.holds(frame), unknown(peer, error));
  }

  /** What waits for a link will not be sent. */
  unsent(peer: Peer, error: TroupeError): void {
    const isSaid = error.metadata.started === 'false';
    this.fail(peer, ({ frame }) => peer.holds(frame), isSaid ? error : notSent(error.reason, error.message, peer.nodeId));
    // Another peer may stand for the same process from now on.
    if (this.exchanges.get(peer)?.pending.size === 0) this.exchanges.delete(peer);
  }

  /** Gives its id; where it is refused, its end has been told by then. */
  private send(peer: Peer, pending: Pending, content: Content, trace: TraceHeaders | undefined): number {
    const exchange = this.exchangeWith(peer);
    const id = nextId(exchange);
    try {
      pending.frame = peer.sendTask(id, taskEnvelope(id, content, trace));
      exchange.pending.set(id, pending);
      this.sweepLater();
    } catch (error) {
      if (!(error instanceof TroupeError)) throw error;
      pending.failed(error);
    }
    return id;
  }

  private exchangeWith(peer: Peer): Exchange {
    let exchange = this.exchanges.get(peer);
    if (exchange === undefined) {
      // Not from 1: what a peer still has to say to an earlier life of this process must not be taken for an answer to this one.
      exchange = { pending: new Map(), lastId: Math.floor(this.deps.random.next() * MAX_ID) };
      this.exchanges.set(peer, exchange);
    }
    return exchange;
  }

  private take(peer: Peer, id: number): Pending | undefined {
    const exchange = this.exchanges.get(peer);
    const pending = exchange?.pending.get(id);
    exchange?.pending.delete(id);
    return pending;
  }

  private fail(peer: Peer, concerns: (pending: Pending) => boolean, error: TroupeError): void {
    const exchange = this.exchanges.get(peer);
    for (const [id, pending] of exchange?.pending ?? []) {
      if (!concerns(pending)) continue;
      exchange?.pending.delete(id);
      pending.failed(error);
    }
  }

  private callOff(peer: Peer, id: number, error: TroupeError): void {
    const pending = this.take(peer, id);
    if (pending === undefined) return;
    tell(peer, id, { $case: error.reason === 'CONNECTION_LOST' ? 'callerLost' : 'cancel', value: {} });
    pending.failed(error);
  }

  /** One timer for all deadlines, and none while nothing is under way. */
  private sweepLater(): void {
    this.cancelSweep ??= this.deps.clock.after(SWEEP_MS, () => {
      this.cancelSweep = undefined;
      const now = this.deps.clock.now();
      let left = 0;
      for (const [peer, { pending }] of this.exchanges) {
        for (const [id, { deadlineMs }] of pending) if (deadlineMs <= now) this.callOff(peer, id, deadlineExceeded());
        left += pending.size;
      }
      if (left > 0) this.sweepLater();
    });
  }
}

function nextId(exchange: Exchange): number {
  do exchange.lastId = exchange.lastId >= MAX_ID ? 1 : exchange.lastId + 1;
  while (exchange.pending.has(exchange.lastId));
  return exchange.lastId;
}

function tell(peer: Peer, id: number, content: Content): void {
  peer.tellTask(id, taskEnvelope(id, content, undefined));
}

function taskEnvelope(id: number, content: Content, trace: TraceHeaders | undefined): Buffer {
  const { traceparent = '', tracestate = '', baggage = '' } = trace ?? NO_TRACE;
  return encodeMessage(TaskEnvelope, { id, content, traceparent, tracestate, baggage });
}

const NO_TRACE: TraceHeaders = { traceparent: undefined };

function errorOf(outcome: Outcome): TroupeError {
  if (outcome?.$case === 'error') return fromStatusMessage(outcome.value);
  return new TroupeError('INTERNAL', 'INTERNAL', 'the node did not say what became of the task');
}

/** Of a link that broke: with a reason that is its code only, as of errors that a transport makes. */
function unknown({ nodeId }: Peer, error: TroupeError): TroupeError {
  if (error.reason === 'NODE_LOST')
    return new TroupeError('UNAVAILABLE', 'NODE_LOST', `node "${nodeId}" left the cluster while it had the task`, {
      metadata: { node_id: nodeId },
    });
  return new TroupeError('UNAVAILABLE', 'UNAVAILABLE', `the link to node "${nodeId}" broke: ${error.message}`, { cause: error });
}
