import { describe, expect, it } from '@jest/globals';
import type { AgentTask, TaskContext } from '../../../src/agent/context.js';
import { type AgentOptions, defineAgent } from '../../../src/agent/define-agent.js';
import type { AgentManifest } from '../../../src/agent/manifest.js';
import { TroupeError } from '../../../src/core/errors.js';
import type { TaskId } from '../../../src/core/ids.js';
import { type Payload, type PayloadInput, toPayload } from '../../../src/core/payload.js';
import { Activation, type ActivationState } from '../../../src/runtime/activation.js';
import type { PostOffice } from '../../../src/runtime/post-office.js';
import type { TaskInput, TaskSink } from '../../../src/runtime/turn.js';
import { outcomeOf } from '../../../src/upstream/outcome.js';
import { FakeClock, settle } from '../../support/fake-clock.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { silentPost } from '../../support/silent-post.js';

type Options = Partial<AgentOptions<unknown, unknown>>;

const MANIFEST: AgentManifest = {
  id: 'echo-1',
  kind: 'echo',
  capabilities: ['echoing'],
  config: {},
  concurrency: 1,
  mailboxCapacity: 2,
  weight: 1,
  adaptiveConcurrency: false,
  metadata: {},
};

function activationOf(options: Options, manifest: Partial<AgentManifest> = {}, post: PostOffice = silentPost) {
  const clock = new FakeClock();
  const logger = recordingLogger();
  const definition = defineAgent<unknown, unknown>({
    kind: 'echo',
    capabilities: ['echoing'],
    run: (task) => task.text(),
    ...options,
  });
  const activation = new Activation(definition, { ...MANIFEST, ...manifest }, { nodeId: 'node-1', clock, logger, post });
  return { clock, logger, activation };
}

async function running(options: Options = {}, manifest: Partial<AgentManifest> = {}) {
  const made = activationOf(options, manifest);
  await made.activation.start();
  return made;
}

function input(clock: FakeClock, more: Partial<TaskInput> & { readonly content?: PayloadInput } = {}): TaskInput {
  const { content = 'hello', ...rest } = more;
  return {
    id: 'task-1' as TaskId,
    attempt: 1,
    requiredCapabilities: ['echoing'],
    labels: new Map(),
    priority: 'normal',
    payload: () => toPayload(content),
    deadlineMs: clock.now() + 60_000,
    trace: undefined,
    ...rest,
  };
}

/** An agent that works until it is told to end, or until its signal aborts. */
function patient() {
  const tasks: { readonly id: string; readonly ctx: TaskContext; readonly finish: (result: PayloadInput) => void }[] = [];
  const run = (task: AgentTask, ctx: TaskContext) =>
    new Promise<PayloadInput>((resolve, reject) => {
      tasks.push({ id: task.id, ctx, finish: resolve });
      ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason));
    });
  return { tasks, run };
}

const CANCELLED = new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled');

describe('the life of an activation', () => {
  it('goes from initialized over starting, running and stopping to stopped', async () => {
    const seen: ActivationState['kind'][] = [];
    const hooks: string[] = [];
    const { activation, clock } = activationOf({
      start: () => {
        seen.push(activation.status().state.kind);
        return 'the state';
      },
      run: (_task, ctx) => `state: ${String(ctx.state)}`,
      stop: ({ state }) => {
        seen.push(activation.status().state.kind);
        hooks.push(`stop ${String(state)}`);
      },
    });
    seen.push(activation.status().state.kind);
    await activation.start();
    seen.push(activation.status().state.kind);
    expect(await activation.execute(input(clock)).result).toEqual({ kind: 'text', text: 'state: the state' });
    await clock.advance(5_000);
    expect(await activation.stop(1_000)).toEqual({ finished: 0, cancelled: 0 });
    seen.push(activation.status().state.kind);
    expect(seen).toEqual(['initialized', 'starting', 'running', 'stopping', 'stopped']);
    expect(hooks).toEqual(['stop the state']);
    expect(activation.status()).toMatchObject({ stateSinceMs: clock.now(), completed: 1, failed: 0, inFlight: 0, queued: 0 });
    expect(clock.pending).toBe(0);
  });

  it('is failed, with its reason, when its start fails', async () => {
    const { activation, logger } = activationOf({ start: () => Promise.reject(new Error('no model')) });
    await expect(activation.start()).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'AGENT_START_FAILED',
      message: expect.stringContaining('no model'),
      metadata: { agent_id: 'echo-1' },
    });
    expect(activation.status().state).toEqual({ kind: 'failed', reason: 'no model' });
    expect(logger.at('warn')).toEqual(['agent failed to start']);
    expect(await activation.stop(1_000)).toEqual({ finished: 0, cancelled: 0 });
  });

  it('is failed when its config is wrong, and hands a right one to start and run', async () => {
    const config = {
      parse: (value: unknown) => {
        if ((value as { n?: number }).n === undefined) throw new Error('n: is required');
        return { doubled: 2 * (value as { n: number }).n };
      },
    };
    await expect(activationOf({ config }).activation.start()).rejects.toMatchObject({
      message: expect.stringContaining('n: is required'),
    });
    const { activation, clock } = activationOf(
      { config, start: (ctx) => ctx.config, run: (_task, ctx) => ({ config: ctx.config, state: ctx.state }) },
      { config: { n: 2 } },
    );
    await activation.start();
    expect(await activation.execute(input(clock)).result).toEqual({
      kind: 'json',
      json: { config: { doubled: 4 }, state: { doubled: 4 } },
    });
  });

  it.each([
    [
      'its config is wrong',
      {
        config: {
          parse: () => {
            throw new Error('no');
          },
        },
      },
    ],
    ['its start fails', { start: () => Promise.reject(new Error('no')) }],
  ])('is out of reach again where %s', async (_why, options: Options) => {
    let open = 0;
    const post: PostOffice = {
      open: (recipient) => {
        open += 1;
        const close = () => {
          open -= 1;
        };
        return { ...silentPost.open(recipient), close };
      },
    };
    await expect(activationOf(options, {}, post).activation.start()).rejects.toThrow('failed to start');
    expect(open).toBe(0);
  });

  it.each(['initialized', 'stopped', 'failed'])('refuses tasks while it is %s', async (state) => {
    const { activation, clock } = activationOf(state === 'failed' ? { start: () => Promise.reject(new Error('no')) } : {});
    if (state !== 'initialized') await activation.start().catch(() => undefined);
    if (state === 'stopped') await activation.stop(0);
    expect(() => activation.execute(input(clock))).toThrow(
      expect.objectContaining({
        code: 'FAILED_PRECONDITION',
        reason: 'AGENT_NOT_RUNNING',
        message: expect.stringContaining(state),
        metadata: { started: 'false', agent_id: 'echo-1' },
      }),
    );
  });

  it('that is stopped while it starts gives up, and cleans up what it had made', async () => {
    let made: (state: string) => void = () => undefined;
    let signal: AbortSignal | undefined;
    const stops: unknown[] = [];
    const { activation, clock } = activationOf({
      start: (ctx) => {
        signal = ctx.signal;
        return new Promise((resolve) => {
          made = resolve;
        });
      },
      stop: ({ state }) => {
        stops.push(state);
      },
    });
    const started = activation.start();
    const stopped = activation.stop(5_000);
    await settle();
    expect(signal?.aborted).toBe(true);
    made('a connection');
    await expect(started).rejects.toMatchObject({ reason: 'AGENT_START_FAILED' });
    expect(await stopped).toEqual({ finished: 0, cancelled: 0 });
    expect(stops).toEqual(['a connection']);
    expect(activation.status().state.kind).toBe('failed');
    expect(clock.pending).toBe(0);
  });

  it('is not waited for longer than the grace time when its start does not end', async () => {
    const { activation, clock } = activationOf({ start: () => new Promise(() => undefined) });
    void activation.start().catch(() => undefined);
    let stopped = false;
    void activation.stop(5_000).then(() => {
      stopped = true;
    });
    await clock.advance(4_999);
    expect(stopped).toBe(false);
    await clock.advance(1);
    await settle();
    expect(stopped).toBe(true);
  });
});

describe('a task', () => {
  it('is seen by its agent as it came', async () => {
    let seen: unknown;
    const { activation, clock } = await running({
      run: (task, ctx) => {
        seen = {
          id: task.id,
          attempt: task.attempt,
          requires: task.requiredCapabilities,
          label: task.labels.get('l'),
          json: task.json(),
          agent: ctx.agentId,
          node: ctx.nodeId,
          trace: ctx.traceparent,
          capabilities: ctx.capabilities,
          remaining: ctx.remainingMs(),
        };
        return undefined;
      },
    });
    const given = { attempt: 3, labels: new Map([['l', 'v']]), content: { a: 1 }, trace: { traceparent: 'trace' } };
    expect(await activation.execute(input(clock, given)).result).toEqual({ kind: 'empty' });
    expect(seen).toEqual({
      id: 'task-1',
      attempt: 3,
      requires: ['echoing'],
      label: 'v',
      json: { a: 1 },
      agent: 'echo-1',
      node: 'node-1',
      trace: 'trace',
      capabilities: ['echoing'],
      remaining: 60_000,
    });
  });

  it('is not decoded before its agent asks for it', async () => {
    let decoded = 0;
    const { activation, clock } = await running({ run: () => 'ok' });
    const lazy = {
      ...input(clock),
      payload: () => {
        decoded += 1;
        return toPayload('x');
      },
    };
    await activation.execute(lazy).result;
    expect(decoded).toBe(0);
  });

  it('is refused when the mailbox is full, and the agent has not seen it', async () => {
    const { tasks, run } = patient();
    const { activation, clock } = await running({ run });
    const turns = [1, 2, 3].map((i) => activation.execute(input(clock, { id: `task-${i}` as TaskId })));
    expect(() => activation.execute(input(clock))).toThrow(
      expect.objectContaining({
        code: 'RESOURCE_EXHAUSTED',
        reason: 'MAILBOX_FULL',
        retryAfterMs: 100,
        metadata: { started: 'false', agent_id: 'echo-1' },
      }),
    );
    expect(activation.status()).toMatchObject({ inFlight: 1, queued: 2, refused: 1 });
    for (const index of turns.keys()) {
      await settle();
      tasks[index]?.finish(`done ${index}`);
    }
    expect(await Promise.all(turns.map(({ result }) => result))).toHaveLength(3);
    expect(tasks.map(({ id }) => id)).toEqual(['task-1', 'task-2', 'task-3']);
    expect(clock.pending).toBe(0);
  });

  it('whose agent throws ends with UNKNOWN / AGENT_ERROR and the message, and is logged', async () => {
    const { activation, clock, logger } = await running({ run: () => Promise.reject(new Error('out of ideas')) });
    await expect(activation.execute(input(clock)).result).rejects.toMatchObject({
      code: 'UNKNOWN',
      reason: 'AGENT_ERROR',
      message: 'agent "echo-1" failed: out of ideas',
      metadata: { agent_id: 'echo-1', node_id: 'node-1' },
    });
    expect(logger.at('warn')).toEqual(['agent failed a task']);
    expect(activation.status()).toMatchObject({ completed: 0, failed: 1 });
  });

  it('whose agent throws synchronously, or what is no error, ends with AGENT_ERROR', async () => {
    for (const thrown of [new TypeError('sync'), 'text', undefined]) {
      const { activation, clock } = await running({
        run: () => {
          throw thrown;
        },
      });
      await expect(activation.execute(input(clock)).result).rejects.toMatchObject({ code: 'UNKNOWN', reason: 'AGENT_ERROR' });
    }
  });

  it('whose agent throws a TroupeError ends with that', async () => {
    const error = new TroupeError('NOT_FOUND', 'NO_SUCH_FILE', 'no', { metadata: { a: 'b' }, retryAfterMs: 5 });
    const { activation, clock, logger } = await running({ run: () => Promise.reject(error) });
    await expect(activation.execute(input(clock)).result).rejects.toBe(error);
    expect(logger.lines.filter(({ level }) => level !== 'debug')).toEqual([]);
  });

  it.each([
    new TroupeError('RESOURCE_EXHAUSTED', 'MAILBOX_FULL', 'full', { metadata: { started: 'false', a: 'b' }, retryAfterMs: 7 }),
    new TroupeError('UNAVAILABLE', 'NOT_CONNECTED', 'refused', { metadata: { started: 'false', a: 'b' }, retryAfterMs: 7 }),
    new TroupeError('UNAVAILABLE', 'UNAVAILABLE', 'No connection established', { metadata: { a: 'b' }, retryAfterMs: 7 }),
    new TroupeError('INTERNAL', 'INTERNAL', 'internal', { metadata: { a: 'b' }, retryAfterMs: 7 }),
  ])('is not taken for one that did not start when its agent passes on $reason of a call of its own', async (error) => {
    const { activation, clock } = await running({ run: () => Promise.reject(error) });
    const thrown: unknown = await activation.execute(input(clock)).result.catch((reason: unknown) => reason);
    expect(thrown).toMatchObject({ code: error.code, message: error.message, metadata: { a: 'b' }, retryAfterMs: 7 });
    expect(outcomeOf(thrown as TroupeError)).toBe('answered');
  });

  it('whose payload is malformed ends with INVALID_ARGUMENT', async () => {
    const { activation, clock } = await running({ run: (task) => task.json() as PayloadInput });
    await expect(activation.execute(input(clock, { content: 'no json' })).result).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});

describe('a deadline', () => {
  it('that passes while a task waits ends it, and the agent never sees it', async () => {
    const { tasks, run } = patient();
    const { activation, clock } = await running({ run });
    const first = activation.execute(input(clock));
    const second = activation.execute(input(clock, { id: 'late' as TaskId, deadlineMs: clock.now() + 1_000 }));
    const rejected = expect(second.result).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: expect.stringContaining('waited'),
    });
    await clock.advance(1_000);
    await rejected;
    tasks[0]?.finish('done');
    await first.result;
    await settle();
    expect(tasks.map(({ id }) => id)).toEqual(['task-1']);
    expect(activation.status()).toMatchObject({ completed: 1, failed: 1, inFlight: 0, queued: 0 });
  });

  it('that passes while an agent works ends the wait, and the agent learns it from its signal', async () => {
    const { tasks, run } = patient();
    const { activation, clock, logger } = await running({ run });
    const turn = activation.execute(input(clock, { deadlineMs: clock.now() + 1_000 }));
    const rejected = expect(turn.result).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await clock.advance(999);
    expect(tasks[0]?.ctx.signal.aborted).toBe(false);
    expect(tasks[0]?.ctx.remainingMs()).toBe(1);
    await clock.advance(1);
    await rejected;
    expect(tasks[0]?.ctx.signal.reason).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(tasks[0]?.ctx.remainingMs()).toBe(0);
    expect(logger.at('warn')).toEqual([]);
  });

  it('that has passed already ends the task before the agent sees it', async () => {
    const { tasks, run } = patient();
    const { activation, clock } = await running({ run });
    const turn = activation.execute(input(clock, { deadlineMs: clock.now() - 1 }));
    await expect(turn.result).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(tasks).toHaveLength(0);
  });

  it('leaves no timer behind', async () => {
    const { activation, clock } = await running();
    await Promise.all([1, 2, 3].map(() => activation.execute(input(clock)).result));
    await settle();
    expect(clock.pending).toBe(0);
    await activation.execute(input(clock, { deadlineMs: Number.POSITIVE_INFINITY })).result;
    expect(clock.pending).toBe(0);
  });
});

describe('calling off', () => {
  it('ends a task that waits: the agent never sees it', async () => {
    const { tasks, run } = patient();
    const { activation, clock } = await running({ run });
    activation.execute(input(clock));
    const second = activation.execute(input(clock, { id: 'second' as TaskId }));
    second.cancel(CANCELLED);
    await expect(second.result).rejects.toBe(CANCELLED);
    tasks[0]?.finish('done');
    await settle();
    expect(tasks).toHaveLength(1);
  });

  it('ends a task that is worked on, and its signal says why', async () => {
    const { tasks, run } = patient();
    const { activation, clock } = await running({ run });
    const turn = activation.execute(input(clock));
    turn.cancel(CANCELLED);
    turn.cancel(new TroupeError('ABORTED', 'AGAIN', 'again'));
    await expect(turn.result).rejects.toBe(CANCELLED);
    expect(tasks[0]?.ctx.signal.reason).toBe(CANCELLED);
    await settle();
    expect(activation.inFlight).toBe(0);
  });

  it('before the agent looks at its signal still shows there', async () => {
    let look: () => void = () => undefined;
    let signal: AbortSignal | undefined;
    const { activation, clock } = await running({
      run: async (_task, ctx) => {
        await new Promise<void>((resolve) => {
          look = resolve;
        });
        signal = ctx.signal;
        return 'x';
      },
    });
    const turn = activation.execute(input(clock));
    await settle();
    turn.cancel(CANCELLED);
    look();
    await expect(turn.result).rejects.toBe(CANCELLED);
    await settle();
    expect(signal?.aborted).toBe(true);
    expect(signal?.reason).toBe(CANCELLED);
  });

  it('makes no signal for an agent that does not ask for one', async () => {
    const { activation, clock } = await running();
    const turn = activation.execute(input(clock));
    await turn.result;
    expect(Reflect.get(turn, 'controller')).toBeUndefined();
    expect(turn.signal.aborted).toBe(false);
  });
});

describe('partial results', () => {
  function sinkOf() {
    const got: unknown[] = [];
    const sink: TaskSink = {
      chunk: async (content: Payload) => {
        got.push(content);
      },
      progress: async (fraction, note) => {
        got.push([fraction, note]);
      },
    };
    return { got, sink };
  }

  it('go to a caller that wants them, bounded', async () => {
    const { activation, clock } = await running({
      run: async (_task, ctx) => {
        await ctx.emit('part');
        await ctx.emit({ a: 1 });
        await ctx.progress(0.5);
        await ctx.progress(7, 'x'.repeat(5_000));
        await ctx.progress(-1, 'start');
        return 'whole';
      },
    });
    const { got, sink } = sinkOf();
    expect(await activation.execute(input(clock), sink).result).toEqual({ kind: 'text', text: 'whole' });
    expect(got).toEqual([
      { kind: 'text', text: 'part' },
      { kind: 'json', json: { a: 1 } },
      [0.5, ''],
      [1, 'x'.repeat(1_024)],
      [0, 'start'],
    ]);
    await activation.execute(input(clock)).result;
    expect(got).toHaveLength(5);
  });

  it('are dropped once the caller has gone', async () => {
    let emit: () => Promise<void> = () => Promise.resolve();
    const { tasks, run } = patient();
    const { activation, clock } = await running({
      run: (task, ctx) => {
        emit = () => ctx.emit('late');
        return run(task, ctx);
      },
    });
    const { got, sink } = sinkOf();
    const turn = activation.execute(input(clock), sink);
    turn.cancel(CANCELLED);
    await expect(turn.result).rejects.toBe(CANCELLED);
    await emit();
    expect(got).toEqual([]);
    expect(tasks).toHaveLength(1);
  });
});

describe('stopping', () => {
  it('lets tasks finish, those that wait as well', async () => {
    const { tasks, run } = patient();
    const { activation, clock } = await running({ run });
    const turns = [activation.execute(input(clock)), activation.execute(input(clock))];
    const stopped = activation.stop(10_000);
    await settle();
    expect(activation.status().state.kind).toBe('stopping');
    expect(() => activation.execute(input(clock))).toThrow(expect.objectContaining({ reason: 'AGENT_NOT_RUNNING' }));
    await clock.advance(5_000);
    tasks[0]?.finish('a');
    await settle();
    tasks[1]?.finish('b');
    expect(await stopped).toEqual({ finished: 2, cancelled: 0 });
    expect(await Promise.all(turns.map(({ result }) => result))).toHaveLength(2);
    expect(clock.pending).toBe(0);
  });

  it('calls off what is left after the grace time: what waits has not started, what runs may have', async () => {
    const { tasks, run } = patient();
    const { activation, clock } = await running({ run });
    const first = activation.execute(input(clock));
    const second = activation.execute(input(clock));
    const outcomes = Promise.all(
      [first, second].map(({ result }) => result.catch((error: unknown) => outcomeOf(error as TroupeError))),
    );
    const stopped = activation.stop(1_000);
    await clock.advance(1_000);
    expect(await stopped).toEqual({ finished: 0, cancelled: 2 });
    expect(await outcomes).toEqual(['unknown', 'not_started']);
    expect(tasks[0]?.ctx.signal.reason).toMatchObject({ code: 'UNAVAILABLE', reason: 'AGENT_STOPPED' });
    expect(activation.status().state.kind).toBe('stopped');
    expect(clock.pending).toBe(0);
  });

  it('gives up an agent that does not heed its signal', async () => {
    const { activation, clock } = await running({ run: () => new Promise(() => undefined) });
    const turn = activation.execute(input(clock));
    const rejected = expect(turn.result).rejects.toMatchObject({ reason: 'AGENT_STOPPED' });
    const stopped = activation.stop(0);
    await clock.advance(0);
    await rejected;
    await clock.advance(1_000);
    expect(await stopped).toEqual({ finished: 0, cancelled: 1 });
    expect(activation.status().state.kind).toBe('stopped');
  });

  it('ends although the stop of the agent fails, and says so in the log', async () => {
    const { activation, logger } = await running({ stop: () => Promise.reject(new Error('no')) });
    await activation.stop(0);
    expect(activation.status().state.kind).toBe('stopped');
    expect(logger.at('warn')).toEqual(['agent failed to stop']);
  });

  it('twice waits for the first, and at most for its own grace time', async () => {
    const { run } = patient();
    let stops = 0;
    const { activation, clock } = await running({
      run,
      stop: () => {
        stops += 1;
      },
    });
    const turn = activation.execute(input(clock));
    const rejected = expect(turn.result).rejects.toMatchObject({ reason: 'AGENT_STOPPED' });
    const first = activation.stop(3_600_000);
    const second = activation.stop(2_000);
    await clock.advance(2_000);
    await rejected;
    expect(await second).toEqual({ finished: 0, cancelled: 0 });
    await first;
    expect(activation.status().state.kind).toBe('stopped');
    expect(stops).toBe(1);
    expect(clock.pending).toBe(0);
  });
});
