import type { Clock } from '../core/clock.js';
import { effectiveDeadline } from '../core/deadline.js';
import { TroupeError, withMetadata } from '../core/errors.js';
import { OutcomeEnvelope, type TaskEnvelope } from '../gen/troupe/internal/v1/link.js';
import type {
  RoutedExecuteTaskRequest,
  RoutedStreamTaskRequest,
  RoutedStreamTaskResponse,
  RoutedTask,
} from '../gen/troupe/internal/v1/routed.js';
import type { Peer } from '../link/peer.js';
import { encodeMessage } from '../rpc/encode.js';
import { toStatusMessage } from '../rpc/status.js';
import type { Logger } from '../telemetry/logger.js';
import type { TraceHeaders } from '../telemetry/trace-headers.js';
import type { LocalNodeTasks, TaskCall } from './local-tasks.js';
import { StreamRoom } from './stream-room.js';

export interface ReceivedTasksDeps {
  readonly tasks: Pick<LocalNodeTasks, 'execute' | 'stream'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

type Outcome = NonNullable<OutcomeEnvelope['outcome']>;

/** A task whose end has not been told. */
interface Running {
  cancel: (error: TroupeError) => void;
  demand: (messages: number) => void;
}

/** Does the tasks that other processes send over links. */
export class ReceivedTasks {
  private readonly running = new Map<Peer, Map<number, Running>>();

  constructor(private readonly deps: ReceivedTasksDeps) {}

  task(peer: Peer, envelope: TaskEnvelope): void {
    const { id, content } = envelope;
    switch (content?.$case) {
      case 'execute':
        void this.execute(peer, id, content.value, envelope);
        return;
      case 'stream':
        void this.stream(peer, id, content.value, envelope);
        return;
      case 'demand':
        this.running.get(peer)?.get(id)?.demand(content.value);
        return;
      case 'cancel':
        this.callOff(peer, id, new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled'));
        return;
      case 'callerLost':
        this.callOff(peer, id, new TroupeError('CANCELLED', 'CONNECTION_LOST', 'the connection of the caller was lost'));
        return;
      default:
        refuseTask(peer, id, new TroupeError('UNIMPLEMENTED', 'UNKNOWN_TASK', 'this node is older than what is wanted of it'));
    }
  }

  /** Nobody waits for what came over a link that broke; a stream that can be resumed goes on for a while. */
  broken(peer: Peer): void {
    const running = this.running.get(peer);
    this.running.delete(peer);
    const error = new TroupeError('CANCELLED', 'CONNECTION_LOST', `the link to "${peer.nodeId}" broke`);
    for (const each of running?.values() ?? []) each.cancel(error);
  }

  private async execute(peer: Peer, id: number, request: RoutedExecuteTaskRequest, envelope: TaskEnvelope): Promise<void> {
    const mine = this.add(peer, id);
    try {
      const { response, cancel } = this.deps.tasks.execute(request, this.callOf(request.task, envelope));
      mine.cancel = cancel;
      this.end(peer, id, mine, { $case: 'response', value: await response });
    } catch (error) {
      this.end(peer, id, mine, this.failure(error));
    }
  }

  private async stream(peer: Peer, id: number, request: RoutedStreamTaskRequest, envelope: TaskEnvelope): Promise<void> {
    const mine = this.add(peer, id);
    const caller = new AbortController();
    const room = new StreamRoom();
    mine.demand = (messages) => room.read(messages);
    mine.cancel = (error) => {
      caller.abort(error);
      room.close();
    };
    let messages: AsyncIterator<RoutedStreamTaskResponse> | undefined;
    try {
      messages = this.deps.tasks.stream(request, { ...this.callOf(request.task, envelope), signal: caller.signal });
      while (await room.more()) {
        const step = await messages.next();
        if (step.done === true) return this.end(peer, id, mine, { $case: 'end', value: {} });
        if (!this.isRunning(peer, id, mine)) break;
        room.sent(sizeOf(step.value));
        say(peer, id, { $case: 'event', value: step.value });
      }
    } catch (error) {
      this.end(peer, id, mine, this.failure(error));
    } finally {
      await messages?.return?.().catch(() => undefined);
    }
  }

  private callOf(task: RoutedTask | undefined, envelope: TaskEnvelope): TaskCall {
    return {
      deadlineMs: effectiveDeadline(this.deps.clock.now(), task?.deadline?.getTime()),
      trace: traceOf(envelope),
    };
  }

  private add(peer: Peer, id: number): Running {
    const running: Running = { cancel: () => undefined, demand: () => undefined };
    const ofPeer = this.running.get(peer);
    if (ofPeer === undefined) this.running.set(peer, new Map([[id, running]]));
    else ofPeer.set(id, running);
    return running;
  }

  private isRunning(peer: Peer, id: number, running: Running): boolean {
    return this.running.get(peer)?.get(id) === running;
  }

  /** Tells how it ended, where somebody still waits for that. */
  private end(peer: Peer, id: number, running: Running, outcome: Outcome): void {
    if (!this.isRunning(peer, id, running)) return;
    say(peer, id, outcome);
    this.running.get(peer)?.delete(id);
  }

  private callOff(peer: Peer, id: number, error: TroupeError): void {
    const ofPeer = this.running.get(peer);
    const running = ofPeer?.get(id);
    ofPeer?.delete(id);
    running?.cancel(error);
  }

  private failure(error: unknown): Outcome {
    if (!(error instanceof TroupeError)) this.deps.logger.error('a task over a link failed', { error });
    return { $case: 'error', value: toStatusMessage(error) };
  }
}

/** Says of a task that it will not be begun here. */
export function refuseTask(peer: Peer, id: number, error: TroupeError): void {
  say(peer, id, { $case: 'error', value: toStatusMessage(withMetadata(error, { started: 'false' })) });
}

function say(peer: Peer, id: number, outcome: Outcome): void {
  peer.answerTask(id, encodeMessage(OutcomeEnvelope, { id, outcome }));
}

function traceOf({ traceparent, tracestate, baggage }: TaskEnvelope): TraceHeaders | undefined {
  if (traceparent === '' && baggage === '') return undefined;
  return { traceparent: traceparent || undefined, tracestate: tracestate || undefined, baggage: baggage || undefined };
}

function sizeOf({ event }: RoutedStreamTaskResponse): number {
  return event?.$case === 'chunk' || event?.$case === 'result' ? event.value.payload.length : 0;
}
