import type { Clock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import { ReplayQueue } from '../core/replay-queue.js';
import type { RoutedStreamTaskResponse } from '../gen/troupe/internal/v1/routed.js';
import type { TaskSink, Turn } from '../runtime/turn.js';
import { encodeResult } from './result.js';

const MIB = 1024 * 1024;
/** Messages, and their bytes, that a reader may be behind before the agent's `emit` waits. */
const STREAM_BACKLOG = 16;
const STREAM_BACKLOG_BYTES = MIB;
/** Messages, and their bytes, that an agent which does not wait for `emit` may be ahead of the reader before its stream fails. */
const MAX_STREAM_BACKLOG = 256;
const MAX_STREAM_BACKLOG_BYTES = 16 * MIB;
/** Of each stream that can be resumed, so much of what was sent is kept: what two connections and their ends can hold, and a margin. */
const REPLAY_BYTES = 8 * MIB;
/** Streams whose work has ended and that wait for a reader to come back, and what they may hold together; the oldest go first. */
const MAX_ENDED = 1_000;
const MAX_ENDED_BYTES = 64 * MIB;
/** What a message needs beside its payload. */
const MESSAGE_BYTES = 64;

type Event = NonNullable<RoutedStreamTaskResponse['event']>;

/** A task that is streamed, whoever reads it. */
export interface TaskStream {
  readonly taskId: string;
  /** Which try of the task this is: a later one takes the place of an earlier one. */
  readonly attempt: number;
  readonly firstCursor: bigint;
  /** How long it goes on without a reader; 0: not at all. */
  readonly resumeWindowMs: number;
  /** Hands the task to its agent. @throws when the agent does not take it. */
  begin(sink: TaskSink): Turn;
  /** The first message, once the agent works on it. */
  routed(): Event;
  /** The last message. @throws when the result cannot travel. */
  result(turn: Turn, payload: Awaited<Turn['result']>): Pick<RoutedStreamTaskResponse, 'event' | 'load'>;
}

/**
 * The streamed tasks of a node. A stream outlives its reader where the reader's connection was lost and its caller wants to come back; a
 * reader that leaves ends the work.
 */
export class TaskStreams {
  private readonly resumable = new Map<string, Session>();
  private readonly ended = new Set<Session>();

  constructor(private readonly clock: Clock) {}

  /** Begins a task and gives its messages. @throws ALREADY_EXISTS / STREAM_EXISTS, what `begin` throws, or what the agent threw. */
  async *open(stream: TaskStream, signal: AbortSignal): AsyncGenerator<RoutedStreamTaskResponse, void, undefined> {
    if (stream.resumeWindowMs > 0) this.makeRoomFor(stream);
    const session = new Session(stream, this.clock, (over) => this.left(over));
    if (stream.resumeWindowMs > 0) this.resumable.set(stream.taskId, session);
    yield* session.read(stream.firstCursor - 1n, signal);
  }

  /** Goes on with a stream that was begun before. @throws NOT_FOUND / UNKNOWN_STREAM, OUT_OF_RANGE / CURSOR_LOST. */
  async *resume(
    taskId: string,
    afterCursor: bigint,
    signal: AbortSignal,
  ): AsyncGenerator<RoutedStreamTaskResponse, void, undefined> {
    const session = this.resumable.get(taskId);
    if (session === undefined) throw unknownStream(taskId);
    const messages = session.read(afterCursor, signal);
    this.ended.delete(session);
    yield* messages;
  }

  /** Ends the waits of streams that nobody reads. */
  close(): void {
    for (const session of this.resumable.values()) session.close();
    this.resumable.clear();
  }

  /** Whoever begins a task anew has given up the try before, and what has ended. */
  private makeRoomFor({ taskId, attempt }: TaskStream): void {
    const before = this.resumable.get(taskId);
    if (before !== undefined && before.attempt >= attempt && !before.hasEnded) throw streamExists(taskId);
    before?.close();
  }

  private left(session: Session): void {
    if (session.isOver) {
      if (this.resumable.get(session.taskId) === session) this.resumable.delete(session.taskId);
      this.ended.delete(session);
    } else if (session.hasEnded) {
      this.ended.add(session);
      this.trim();
    }
  }

  private trim(): void {
    let bytes = 0;
    for (const session of this.ended) bytes += session.bytes;
    for (const session of this.ended) {
      if (this.ended.size <= MAX_ENDED && bytes <= MAX_ENDED_BYTES) return;
      bytes -= session.bytes;
      session.close();
    }
  }
}

/** How a reader left. */
type Departure = 'connection lost' | 'cancelled' | 'gone';

class Session {
  readonly taskId: string;
  readonly attempt: number;
  private readonly queue: ReplayQueue<RoutedStreamTaskResponse>;
  private readonly turn: Turn;
  /** The agent has taken it from its mailbox. */
  private readonly begun: Promise<void>;
  private readers = 0;
  private announced = false;
  private over = false;
  private disarm: () => void = () => undefined;

  constructor(
    private readonly stream: TaskStream,
    private readonly clock: Clock,
    /** The last reader has left, or the work of one that nobody reads has ended. */
    private readonly onLeft: (session: Session) => void,
  ) {
    this.taskId = stream.taskId;
    this.attempt = stream.attempt;
    const keepBytes = stream.resumeWindowMs > 0 ? REPLAY_BYTES : 0;
    this.queue = new ReplayQueue(
      {
        limit: STREAM_BACKLOG,
        limitBytes: STREAM_BACKLOG_BYTES,
        most: MAX_STREAM_BACKLOG,
        mostBytes: MAX_STREAM_BACKLOG_BYTES,
        keepBytes,
        onOverflow: () => this.overflow(),
      },
      stream.firstCursor,
    );
    this.turn = stream.begin(this.sink());
    this.begun = this.turn.begins.then(() => this.announce());
    void this.follow();
  }

  /** Nothing will be read any more. */
  get isOver(): boolean {
    return this.over;
  }

  /** Its work was begun and is done. */
  get hasEnded(): boolean {
    return this.announced && this.queue.isClosed;
  }

  /** What it holds for a reader who comes back. */
  get bytes(): number {
    return this.queue.bytes;
  }

  /** @throws OUT_OF_RANGE / CURSOR_LOST. */
  read(afterCursor: bigint, signal: AbortSignal): AsyncGenerator<RoutedStreamTaskResponse, void, undefined> {
    const messages = this.queue.read(afterCursor);
    this.disarm();
    this.readers += 1;
    return this.pass(messages, this.queue.currentReader, signal);
  }

  private async *pass(
    messages: AsyncGenerator<RoutedStreamTaskResponse, void, undefined>,
    reader: number,
    signal: AbortSignal,
  ): AsyncGenerator<RoutedStreamTaskResponse, void, undefined> {
    let how: Departure = 'gone';
    let wake: () => void = () => undefined;
    const departed = new Promise<void>((resolve) => {
      wake = resolve;
    });
    const onAbort = () => {
      how = isConnectionLost(signal) ? 'connection lost' : 'cancelled';
      if (how === 'cancelled') this.turn.cancel(signal.reason instanceof TroupeError ? signal.reason : cancelled());
      // A reader that waits for the next message would not leave before that comes.
      this.queue.detach(reader);
      wake();
    };
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    try {
      // Until the agent takes it from its mailbox, the task can be refused as one that has not started.
      await Promise.race([this.begun, this.turn.result, departed]);
      yield* messages;
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.readers -= 1;
      // Another reader may have come meanwhile.
      if (this.readers === 0) this.leave(how);
    }
  }

  /** Ends the wait for a reader. */
  close(): void {
    this.disarm();
    this.over = true;
    this.turn.cancel(new TroupeError('CANCELLED', 'CANCELLED', 'the reader of the stream has gone'));
    this.onLeft(this);
  }

  private leave(how: Departure): void {
    const { resumeWindowMs } = this.stream;
    // Who has read to the end may not have received all of it: their connection may break after that.
    const mayComeBack = how === 'connection lost' || (how === 'gone' && this.hasEnded);
    if (resumeWindowMs > 0 && mayComeBack) {
      this.disarm = this.clock.after(resumeWindowMs, () => this.close());
      this.onLeft(this);
    } else this.close();
  }

  private sink(): TaskSink {
    let sequence = 0n;
    return {
      chunk: (payload) => {
        this.announce();
        sequence += 1n;
        return this.send({ $case: 'chunk', value: { sequence, payload: encodeResult(payload) } });
      },
      progress: (fraction, note) => {
        this.announce();
        return this.send({ $case: 'progress', value: { fraction, note } });
      },
    };
  }

  private async follow(): Promise<void> {
    const { turn, queue, stream } = this;
    try {
      const { event, load } = stream.result(turn, await turn.result);
      this.announce();
      void this.send(event, load);
      queue.close();
    } catch (error) {
      queue.fail(error);
    }
    if (this.readers === 0 && !this.over) this.onLeft(this);
  }

  /** The first message, before any other. */
  private announce(): void {
    if (this.announced) return;
    this.announced = true;
    void this.send(this.stream.routed());
  }

  /** What the agent would still say is not for anybody: it is told to stop at once, not when its reader has come to the gap. */
  private overflow(): TroupeError {
    const error = streamOverflow();
    // Not before it has begun: an agent may overflow while it is handed the task.
    queueMicrotask(() => this.turn.cancel(error));
    return error;
  }

  private send(event: RoutedStreamTaskResponse['event'], load?: RoutedStreamTaskResponse['load']): Promise<void> {
    const bytes = event?.$case === 'chunk' || event?.$case === 'result' ? event.value.payload.length : 0;
    return this.queue.send({ event, cursor: this.queue.nextCursor, load }, bytes + MESSAGE_BYTES);
  }
}

function isConnectionLost({ aborted, reason }: AbortSignal): boolean {
  return aborted && reason instanceof TroupeError && reason.reason === 'CONNECTION_LOST';
}

function cancelled(): TroupeError {
  return new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled');
}

function streamExists(taskId: string): TroupeError {
  return new TroupeError(
    'ALREADY_EXISTS',
    'STREAM_EXISTS',
    `a stream of task "${taskId}" is open here; resume it, or choose another id`,
    {
      metadata: { task_id: taskId },
    },
  );
}

function unknownStream(taskId: string): TroupeError {
  return new TroupeError(
    'NOT_FOUND',
    'UNKNOWN_STREAM',
    `no stream of task "${taskId}" here: it has ended, or its window has passed`,
    {
      metadata: { task_id: taskId },
    },
  );
}

function streamOverflow(): TroupeError {
  return new TroupeError(
    'RESOURCE_EXHAUSTED',
    'STREAM_OVERFLOW',
    `the agent is ${MAX_STREAM_BACKLOG} chunks, or ${MAX_STREAM_BACKLOG_BYTES} bytes, ahead of the reader: it must await ctx.emit() and ctx.progress()`,
  );
}
