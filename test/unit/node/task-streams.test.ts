import { afterEach, describe, expect, it } from '@jest/globals';
import { TroupeError } from '../../../src/core/errors.js';
import type { TaskId } from '../../../src/core/ids.js';
import { EMPTY_PAYLOAD, type Payload, toPayload } from '../../../src/core/payload.js';
import { type RoutedStreamTaskResponse, RoutedTaskResult } from '../../../src/gen/troupe/internal/v1/routed.js';
import { type TaskStream, TaskStreams } from '../../../src/node/task-streams.js';
import { decodePayload } from '../../../src/rpc/codec/payload.js';
import { type TaskSink, Turn } from '../../../src/runtime/turn.js';
import { FakeClock, settle } from '../../support/fake-clock.js';

const LOST = new TroupeError('CANCELLED', 'CONNECTION_LOST', 'the connection of the caller was lost');
const CANCELLED = new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled');
const WINDOW_MS = 5_000;

const clock = new FakeClock();
let streams = new TaskStreams(clock);

/** A task whose agent does what the test says. */
class Work {
  readonly turn: Turn;
  sink: TaskSink | undefined;
  private finish: (result: Payload) => void = () => undefined;

  constructor(readonly id = 'task-1') {
    this.turn = new Turn(
      {
        id: id as TaskId,
        attempt: 1,
        requiredCapabilities: [],
        labels: new Map(),
        priority: 'normal',
        payload: () => EMPTY_PAYLOAD,
        deadlineMs: clock.now() + 60_000,
        trace: undefined,
      },
      undefined,
      clock,
      { calledOff: () => undefined },
      undefined,
    );
  }

  /** The agent takes it from its mailbox, and works until `end`. */
  begin(): void {
    void this.turn.run(
      () =>
        new Promise((resolve) => {
          this.finish = () => resolve('done');
        }),
      (error) => new TroupeError('UNKNOWN', 'AGENT_ERROR', String(error)),
    );
  }

  emit(text: string): Promise<void> {
    return this.sink?.chunk(toPayload(text)) ?? Promise.resolve();
  }

  end(): void {
    this.finish(EMPTY_PAYLOAD);
  }

  open(resumeWindowMs = WINDOW_MS, firstCursor = 2n, attempt = 1) {
    const controller = new AbortController();
    const stream: TaskStream = {
      taskId: this.id,
      attempt,
      firstCursor,
      resumeWindowMs,
      begin: (sink) => {
        this.sink = sink;
        return this.turn;
      },
      routed: () => ({ $case: 'routed', value: { agentId: 'a', nodeId: 'node-1', attempt: 1 } }),
      result: () => ({ event: { $case: 'result', value: RoutedTaskResult.fromPartial({ taskId: this.id }) }, load: undefined }),
    };
    return reader(streams.open(stream, controller.signal), controller);
  }

  get isCalledOff(): boolean {
    return this.turn.isCalledOff;
  }
}

function reader(messages: AsyncGenerator<RoutedStreamTaskResponse>, controller: AbortController) {
  const next = async (): Promise<string> => {
    const step = await messages.next();
    if (step.done === true) return 'end';
    const { cursor, event } = step.value;
    const what = event?.$case === 'chunk' ? decodePayload(event.value.payload) : undefined;
    return `${cursor} ${what?.kind === 'text' ? what.text : event?.$case}`;
  };
  return {
    next,
    take: async (count: number) => {
      const taken: string[] = [];
      for (let n = 0; n < count; n++) taken.push(await next());
      return taken;
    },
    /** As the server does when its peer has gone: it does not wait. */
    leave: async (error: TroupeError) => {
      controller.abort(error);
      void messages.return(undefined).catch(() => undefined);
      await settle();
    },
  };
}

function resume(taskId: string, after: bigint) {
  const controller = new AbortController();
  return reader(streams.resume(taskId, after, controller.signal), controller);
}

afterEach(() => {
  streams.close();
  streams = new TaskStreams(clock);
  expect(clock.pending).toBe(0);
});

describe('a streamed task', () => {
  it('says first that it was taken, then what comes, numbered from where it was told', async () => {
    const work = new Work();
    const stream = work.open(0, 7n);
    const first = stream.next();
    await settle();
    work.begin();
    expect(await first).toBe('7 routed');
    void work.emit('x');
    expect(await stream.next()).toBe('8 x');
    work.end();
    expect(await stream.take(2)).toEqual(['9 result', 'end']);
  });

  it('says so also when its agent emits at once', async () => {
    const work = new Work();
    const stream = work.open();
    const first = stream.next();
    work.begin();
    void work.emit('x');
    expect(await first).toBe('2 routed');
    expect(await stream.next()).toBe('3 x');
    await stream.leave(CANCELLED);
  });

  it('that is refused before it began is thrown, and its id is free again', async () => {
    const work = new Work();
    const stream = work.open();
    const first = stream.next();
    const refused = new TroupeError('RESOURCE_EXHAUSTED', 'SHED', 'no', { metadata: { started: 'false' } });
    work.turn.cancel(refused);
    await expect(first).rejects.toBe(refused);
    const again = new Work().open();
    const taken = again.next();
    await settle();
    await again.leave(CANCELLED);
    await taken.catch(() => undefined);
  });

  it('goes on for a while when the connection of its reader was lost, and gives another all that it has not seen', async () => {
    const work = new Work();
    const stream = work.open();
    const first = stream.next();
    await settle();
    work.begin();
    await first;
    for (const text of ['a', 'b', 'c']) void work.emit(text);
    expect(await stream.take(2)).toEqual(['3 a', '4 b']);
    await stream.leave(LOST);
    await clock.advance(WINDOW_MS - 1);
    expect(work.isCalledOff).toBe(false);
    const second = resume('task-1', 3n);
    expect(await second.take(2)).toEqual(['4 b', '5 c']);
    await clock.advance(10 * WINDOW_MS);
    expect(work.isCalledOff).toBe(false);
    work.end();
    expect(await second.take(2)).toEqual(['6 result', 'end']);
  });

  it('is called off when nobody comes back, also while its agent says nothing', async () => {
    const work = new Work();
    const stream = work.open();
    const first = stream.next();
    await settle();
    work.begin();
    await first;
    const waiting = stream.next().catch(() => undefined);
    await stream.leave(LOST);
    await waiting;
    await clock.advance(WINDOW_MS - 1);
    expect(work.isCalledOff).toBe(false);
    await clock.advance(1);
    expect(work.isCalledOff).toBe(true);
  });

  it('that waits in the mailbox goes on for a reader who comes back', async () => {
    const work = new Work();
    const stream = work.open();
    const first = stream.next().catch(() => undefined);
    await settle();
    await stream.leave(LOST);
    await first;
    const again = resume('task-1', 1n);
    const next = again.next();
    work.begin();
    expect(await next).toBe('2 routed');
    await again.leave(CANCELLED);
  });

  it('that is begun anew takes the place of an earlier try, and no other', async () => {
    const work = new Work();
    const stream = work.open();
    const first = stream.next();
    await settle();
    work.begin();
    await first;
    await stream.leave(LOST);
    const second = new Work();
    const anew = second.open(WINDOW_MS, 3n, 2);
    const next = anew.next();
    await settle();
    expect(work.isCalledOff).toBe(true);
    second.begin();
    expect(await next).toBe('3 routed');
    await expect(new Work().open(WINDOW_MS, 3n, 2).next()).rejects.toMatchObject({ reason: 'STREAM_EXISTS' });
    await anew.leave(CANCELLED);
  });

  it('whose reader cancels leaves its id free', async () => {
    const work = new Work();
    const stream = work.open();
    const first = stream.next();
    await settle();
    work.begin();
    await first;
    await stream.leave(CANCELLED);
    await expect(resume('task-1', 2n).next()).rejects.toMatchObject({ reason: 'UNKNOWN_STREAM' });
  });

  it('is called off when nobody comes back', async () => {
    const work = new Work();
    const stream = work.open();
    const first = stream.next();
    await settle();
    work.begin();
    await first;
    await stream.leave(LOST);
    await clock.advance(WINDOW_MS);
    expect(work.isCalledOff).toBe(true);
    await expect(resume('task-1', 2n).next()).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'UNKNOWN_STREAM' });
  });

  it.each([
    ['its reader cancels', WINDOW_MS, CANCELLED],
    ['it has no window', 0, LOST],
  ])('is called off at once when %s', async (_what, windowMs, error) => {
    const work = new Work();
    const stream = work.open(windowMs);
    const first = stream.next();
    await settle();
    work.begin();
    await first;
    await stream.leave(error);
    expect(work.isCalledOff).toBe(true);
  });

  it('that was read to its end is kept for a reader whose connection broke after that', async () => {
    const work = new Work();
    const stream = work.open();
    const first = stream.next();
    await settle();
    work.begin();
    await first;
    work.end();
    expect(await stream.take(2)).toEqual(['3 result', 'end']);
    expect(await resume('task-1', 2n).take(2)).toEqual(['3 result', 'end']);
    await clock.advance(WINDOW_MS);
    await expect(resume('task-1', 2n).next()).rejects.toMatchObject({ reason: 'UNKNOWN_STREAM' });
  });

  it('is not begun twice under one id, where it can be resumed', async () => {
    const work = new Work();
    const stream = work.open();
    const first = stream.next();
    await settle();
    await expect(new Work().open().next()).rejects.toMatchObject({ code: 'ALREADY_EXISTS', reason: 'STREAM_EXISTS' });
    await stream.leave(CANCELLED);
    await first.catch(() => undefined);
  });

  it('says what it cannot give any more', async () => {
    const work = new Work();
    const stream = work.open();
    const first = stream.next();
    await settle();
    work.begin();
    await first;
    await expect(resume('task-1', 9n).next()).rejects.toMatchObject({ code: 'OUT_OF_RANGE', reason: 'CURSOR_LOST' });
    await stream.leave(CANCELLED);
  });
});
