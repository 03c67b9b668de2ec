import { delay } from '../core/abort.js';
import { systemClock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import { systemRandom } from '../core/random.js';
import { backoffMs } from '../resilience/backoff.js';
import type { TaskEvent } from './result.js';

/** Where a stream broke off. */
export interface ResumePoint {
  readonly nodeId: string;
  readonly afterCursor: bigint;
}

export interface ResumingStream {
  /** Opens the stream, or goes on with it. */
  open(from: ResumePoint | undefined): AsyncIterable<TaskEvent>;
  /** Resolves when the address is reached. @throws TroupeError UNAVAILABLE / NOT_CONNECTED. */
  ready(): Promise<void>;
  /** For so long after it broke. */
  readonly windowMs: number;
  readonly idempotent: boolean;
  readonly signal: AbortSignal | undefined;
}

const BACKOFF = { initialMs: 50, capMs: 1_000 };
const NEVER = new AbortController().signal;

/**
 * The events of a streamed task, through lost connections: each event once, in order. A stream that cannot be gone on with begins anew
 * where that is certain to do no harm; its events are numbered anew then. @throws TroupeError: what the task ended with, or ABORTED / OUTCOME_UNKNOWN.
 */
export async function* resuming(stream: ResumingStream): AsyncGenerator<TaskEvent, void, undefined> {
  const trouble = new Trouble(stream);
  let from: ResumePoint | undefined;
  let nodeId = '';
  let hasChunks = false;
  let isOpen = false;
  for (;;) {
    try {
      for await (const event of stream.open(from)) {
        trouble.isOver();
        isOpen = true;
        if (event.kind === 'routed') nodeId = event.nodeId;
        if (event.kind === 'chunk') hasChunks = true;
        from = { nodeId, afterCursor: event.cursor };
        yield event;
        if (event.kind === 'result') return;
      }
      throw new TroupeError('INTERNAL', 'NO_RESULT', 'the stream of the task ended without a result');
    } catch (error) {
      const lost = whatBroke(error, stream, isOpen, trouble.isOn);
      if (lost === 'over') throw error;
      if (lost === 'gone') {
        if (!stream.idempotent || hasChunks) throw outcomeUnknown(error as TroupeError);
        from = undefined;
        isOpen = false;
      }
      await trouble.goesOn(error as TroupeError);
    }
  }
}

/** How long nothing has come: whether the address is not reached, or is, and nothing comes of it. */
class Trouble {
  private sinceMs: number | undefined;
  private failures = 0;

  constructor(private readonly stream: ResumingStream) {}

  /** Whether nothing has come since the stream broke. */
  get isOn(): boolean {
    return this.sinceMs !== undefined;
  }

  isOver(): void {
    this.sinceMs = undefined;
    this.failures = 0;
  }

  /** Waits for the address, with backoff. @throws ABORTED / OUTCOME_UNKNOWN when the window has passed. */
  async goesOn(cause: TroupeError): Promise<void> {
    const { ready, windowMs, signal } = this.stream;
    this.sinceMs ??= systemClock.monotonicMs();
    for (let isReached = false; !isReached; ) {
      if (systemClock.monotonicMs() - this.sinceMs > windowMs) throw outcomeUnknown(cause);
      this.failures += 1;
      await delay(backoffMs(this.failures, BACKOFF, systemRandom), signal ?? NEVER);
      isReached = await ready().then(
        () => true,
        () => false,
      );
    }
  }
}

/** Whether a stream that threw can be gone on with (`connection`), is not there any more (`gone`), or has ended (`over`). */
function whatBroke(
  error: unknown,
  { windowMs, signal }: ResumingStream,
  isOpen: boolean,
  isResumed: boolean,
): 'connection' | 'gone' | 'over' {
  if (!(error instanceof TroupeError) || windowMs === 0 || signal?.aborted === true) return 'over';
  if (isOpen && (error.reason === 'UNKNOWN_STREAM' || error.reason === 'CURSOR_LOST')) return 'gone';
  // Of a router that does not know yet where the stream is: it, or another one behind the address, will.
  if (isResumed && error.reason === 'NOT_JOINED') return 'connection';
  // Made by the transport, not by whoever answered.
  const isTransport = error.reason === error.code && BROKEN.has(error.code);
  return isOpen && isTransport ? 'connection' : 'over';
}

const BROKEN = new Set(['UNAVAILABLE', 'INTERNAL', 'UNKNOWN', 'CANCELLED']);

function outcomeUnknown(cause: TroupeError): TroupeError {
  // That a try to go on with it has not started says nothing of the task.
  const { started: _, ...metadata } = cause.metadata;
  return new TroupeError(
    'ABORTED',
    'OUTCOME_UNKNOWN',
    `the stream was lost and cannot be continued (${cause.message}): the task may have run`,
    { metadata, cause },
  );
}
