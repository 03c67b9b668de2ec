import { afterEach, describe, expect, it } from '@jest/globals';
import { TroupeError } from '../../../src/core/errors.js';
import type { Instance } from '../../../src/core/instance.js';
import { ClusterView } from '../../../src/discovery/view.js';
import {
  type RoutedExecuteTaskRequest,
  RoutedExecuteTaskResponse,
  RoutedRunRequest,
  type RoutedRunResponse,
  RoutedRunStreamRequest,
  type RoutedRunStreamResponse,
  type RoutedStreamTaskResponse,
  RoutedTaskResult,
} from '../../../src/gen/troupe/internal/v1/routed.js';
import type { Call } from '../../../src/rpc/call.js';
import { decodePayload } from '../../../src/rpc/codec/payload.js';
import { durationFromMs } from '../../../src/rpc/codec/time.js';
import type { ExecuteOptions, TaskExecutor } from '../../../src/tasks/executor.js';
import type { TasksDeps } from '../../../src/tasks/task-routing.js';
import { TaskTelemetry } from '../../../src/tasks/task-telemetry.js';
import { tasksService } from '../../../src/tasks/tasks-service.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { traceHeadersOf } from '../../../src/telemetry/trace-headers.js';
import { Admission } from '../../../src/upstream/admission.js';
import { NO_POLICY, parseRoutingPolicy, type RoutingPolicy } from '../../../src/upstream/routing-policy.js';
import { FakeClock, settle } from '../../support/fake-clock.js';
import { seededRandom } from '../../support/seeded-random.js';
import { agentOf, nodeOf } from '../discovery/instances.js';
import { callOf } from '../registry/registry-rig.js';
import { RouterRig } from '../upstream/rig.js';

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const LOST = new TroupeError('UNAVAILABLE', 'NODE_LOST', 'lost');
const REFUSED = new TroupeError('RESOURCE_EXHAUSTED', 'MAILBOX_FULL', 'full', { metadata: { started: 'false' } });

interface Asked {
  readonly agent: string;
  readonly attempt: number;
  readonly isolated: boolean;
  readonly options: ExecuteOptions;
}

/** Agents that do what the test says: one step for each try. */
class ScriptedExecutor implements TaskExecutor {
  readonly asked: Asked[] = [];
  readonly requests: Parameters<TaskExecutor['stream']>[1][] = [];
  cancelled = 0;
  left = 0;
  answers: ((request: RoutedExecuteTaskRequest) => Promise<RoutedExecuteTaskResponse>)[] = [];
  streams: ((signal: AbortSignal) => AsyncIterable<RoutedStreamTaskResponse>)[] = [];

  execute: TaskExecutor['execute'] = (_target, request, options) => {
    this.note(request, options);
    const answer = this.answers.shift() ?? (() => Promise.resolve(done(request)));
    return {
      response: answer(request),
      cancel: () => {
        this.cancelled += 1;
      },
    };
  };

  async *stream(...[_target, request, options]: Parameters<TaskExecutor['stream']>): AsyncGenerator<RoutedStreamTaskResponse> {
    this.requests.push(request);
    this.note(request, options);
    try {
      const script = this.streams.shift();
      if (script !== undefined) yield* script(options.signal);
    } finally {
      this.left += 1;
    }
  }

  private note({ task, attempt, routerIsolated }: RoutedExecuteTaskRequest, options: ExecuteOptions): void {
    this.asked.push({ agent: task?.agentId ?? '', attempt, isolated: routerIsolated, options });
  }
}

function done({ task, attempt }: RoutedExecuteTaskRequest): RoutedExecuteTaskResponse {
  return RoutedExecuteTaskResponse.fromPartial({ result: { taskId: task?.id ?? '', agentId: task?.agentId ?? '', attempt } });
}

let rig = new RouterRig(new FakeClock(), []);

function serviceOf(...ids: string[]) {
  return serviceWith(
    ids.map((id) => agentOf(id, ['work'])),
    NO_POLICY,
  );
}

function serviceWith(instances: readonly Instance[], policy: RoutingPolicy, viewOf = (_clock: FakeClock) => rig.view) {
  const clock = new FakeClock();
  const metrics = new Metrics(clock);
  rig = new RouterRig(clock, instances);
  const { router } = rig;
  const view = viewOf(clock);
  const executor = new ScriptedExecutor();
  const state = { isolated: false };
  const deps: TasksDeps = {
    router,
    executor,
    view,
    policy,
    admission: new Admission(policy, clock),
    clock,
    random: seededRandom(3),
    defaultStrategy: 'round_robin',
    isIsolated: () => state.isolated,
    telemetry: new TaskTelemetry({ metrics, clock, isOffered: () => true }),
  };
  return { metrics, clock, executor, state, view, service: tasksService(deps) };
}

function calling(
  headers: Readonly<Record<string, string>> = {},
  how = new TroupeError('CANCELLED', 'CANCELLED', 'gone'),
): { readonly call: Call; readonly cancel: () => void } {
  const controller = new AbortController();
  const call: Call = Object.create(callOf(controller.signal), {
    header: { value: (name: string) => headers[name] },
    trace: { value: traceHeadersOf((name) => headers[name]) },
  });
  return { call, cancel: () => controller.abort(how) };
}

const request = (more: object = {}) =>
  RoutedRunRequest.fromPartial({ task: { id: 'task-1', requiredCapabilities: ['work'], ...more } });
const streamRequest = () => RoutedRunStreamRequest.fromPartial({ task: { id: 'task-1', requiredCapabilities: ['work'] } });
const routedEvent = (agentId: string): RoutedStreamTaskResponse => ({
  event: { $case: 'routed', value: { agentId, nodeId: 'node-1', attempt: 1 } },
  cursor: 0n,
  load: undefined,
});
const chunk = (sequence: bigint): RoutedStreamTaskResponse => ({
  event: { $case: 'chunk', value: { sequence, payload: Buffer.alloc(0) } },
  cursor: 0n,
  load: undefined,
});

const result = (cursor: bigint): RoutedStreamTaskResponse => ({
  event: { $case: 'result', value: RoutedTaskResult.fromPartial({ agentId: 'b' }) },
  cursor,
  load: undefined,
});

afterEach(() => {
  for (const { key, load } of rig.view.catalog.all()) expect([key, load.inFlight]).toEqual([key, 0]);
});

describe('Tasks.Run', () => {
  async function run(service: ReturnType<typeof serviceOf>['service'], call: Call, more: object = {}) {
    return (await service.run(request(more), call)) as RoutedRunResponse;
  }

  it('gives the result of an agent, with the deadline and the trace of the caller on the way', async () => {
    const { service, executor, clock } = serviceOf('a');
    const trace = { traceparent: TRACE, tracestate: 'shop=1', baggage: 'user=ada' };
    expect(await run(service, calling(trace).call)).toMatchObject({
      result: { taskId: 'task-1', agentId: 'a', attempt: 1 },
    });
    const [asked] = executor.asked;
    expect(asked?.options.deadlineMs).toBe(clock.now() + 30_000);
    expect(asked?.options.trace).toEqual(trace);
    await run(service, calling({ traceparent: 'nonsense', tracestate: 'shop=1' }).call);
    expect(executor.asked[1]?.options.trace).toBeUndefined();
  });

  it('waits, where the process has not seen the cluster yet, until it has, for 3 s, and then says so', async () => {
    const policy = parseRoutingPolicy({ capabilities: { work: { defaultAnswer: { json: 'nobody is there' } } } });
    const fresh = () => serviceWith([agentOf('a', ['work'])], policy, (clock) => new ClusterView(clock));
    const early = fresh();
    const running = run(early.service, calling().call);
    await settle();
    expect(early.executor.asked).toEqual([]);
    early.view.reset([], 7n);
    expect(await running).toMatchObject({ result: { agentId: 'a' } });

    const alone = fresh();
    const refused = { code: 'UNAVAILABLE', reason: 'NOT_JOINED', retryAfterMs: 1_000, metadata: { started: 'false' } };
    const outcomes = Promise.all([
      expect(run(alone.service, calling().call)).rejects.toMatchObject(refused),
      expect(run(alone.service, calling().call, { agentId: 'a' })).rejects.toMatchObject(refused),
      expect(alone.service.runStream(streamRequest(), calling().call)[Symbol.asyncIterator]().next()).rejects.toMatchObject(
        refused,
      ),
    ]);
    await settle();
    await alone.clock.advance(3_000);
    await outcomes;
    const counted = alone.metrics.collect().find(({ instrument }) => instrument.name === 'troupe.task.refused');
    expect(counted?.lines).toMatchObject([{ labels: ['NOT_JOINED'], value: 3 }]);
    expect(alone.executor.asked).toEqual([]);
  });

  it('sends a task that did not start to another agent, and says which try it is', async () => {
    const { service, executor, state } = serviceOf('a', 'b');
    state.isolated = true;
    executor.answers = [() => Promise.reject(REFUSED)];
    expect(await run(service, calling().call)).toMatchObject({ result: { attempt: 2 } });
    expect(new Set(executor.asked.map(({ agent }) => agent))).toEqual(new Set(['a', 'b']));
    expect(executor.asked.every(({ isolated }) => isolated)).toBe(true);
  });

  it('refuses a wrong task before anybody is asked', async () => {
    const { service, executor } = serviceOf('a');
    await expect(run(service, calling().call, { requiredCapabilities: [] })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    await expect(run(service, calling().call, { requiredCapabilities: ['fly'] })).rejects.toMatchObject({ reason: 'NO_AGENT' });
    expect(executor.asked).toEqual([]);
  });

  it('calls off what is under way when the caller cancels, and asks nobody else', async () => {
    const { service, executor } = serviceOf('a', 'b');
    let fail: (error: unknown) => void = () => undefined;
    executor.answers = [
      () =>
        new Promise((_resolve, reject) => {
          fail = reject;
        }),
    ];
    const { call, cancel } = calling();
    const running = run(service, call, { idempotent: true });
    await settle();
    cancel();
    expect(executor.cancelled).toBe(1);
    fail(new TroupeError('CANCELLED', 'CANCELLED', 'called off'));
    await expect(running).rejects.toBeInstanceOf(TroupeError);
    expect(executor.asked).toHaveLength(1);
  });
});

describe('a task that nobody takes', () => {
  const policy = parseRoutingPolicy({
    capabilities: {
      work: { fallback: 'easy' },
      easy: { defaultAnswer: { json: { sorry: true } } },
      limited: { rateLimit: { perSecond: 1 }, fallback: 'easy' },
    },
  });
  const REFUSE = () => Promise.reject(REFUSED);
  const run = async (service: ReturnType<typeof serviceOf>['service'], more: object = {}) =>
    ((await service.run(request(more), calling().call)) as RoutedRunResponse).result;

  it('is done by its fallback, which is said', async () => {
    const { service, executor } = serviceWith([agentOf('a', ['work']), agentOf('b', ['easy'])], policy);
    executor.answers = [REFUSE];
    expect(await run(service)).toMatchObject({ agentId: 'b', fallbackCapability: 'easy', defaultAnswer: false });
    expect(await run(service, { requiredCapabilities: ['unknown'], fallbackCapability: 'work' })).toMatchObject({
      agentId: 'a',
      fallbackCapability: 'work',
    });
    expect(await run(service)).toMatchObject({ agentId: 'a', fallbackCapability: '' });
  });

  it('gets the default answer where no fallback takes it either', async () => {
    const { service, executor } = serviceWith([agentOf('a', ['work'])], policy);
    executor.answers = [REFUSE];
    const result = await run(service);
    expect(result).toMatchObject({ taskId: 'task-1', agentId: '', nodeId: '', defaultAnswer: true, state: 4 });
    expect(decodePayload(result?.payload ?? Buffer.alloc(0))).toEqual({ kind: 'json', json: { sorry: true } });
  });

  it('ends with what it met itself where nothing stands for it', async () => {
    const { service, executor } = serviceWith([agentOf('a', ['other'])], policy);
    executor.answers = [REFUSE];
    await expect(run(service, { requiredCapabilities: ['other'], fallbackCapability: 'nobody' })).rejects.toMatchObject({
      reason: 'MAILBOX_FULL',
    });
  });

  it('goes to a fallback that hashes also without a key', async () => {
    const hashed = parseRoutingPolicy({
      capabilities: { away: { fallback: 'sticky' }, sticky: { strategy: 'consistent_hash' } },
    });
    const { service } = serviceWith([agentOf('a', ['sticky'])], hashed);
    expect(await run(service, { requiredCapabilities: ['away'] })).toMatchObject({ agentId: 'a', fallbackCapability: 'sticky' });
  });

  it('is not one that an agent failed, or may have done', async () => {
    const { service, executor } = serviceWith([agentOf('a', ['work']), agentOf('b', ['easy'])], policy);
    for (const [thrown, reason] of [
      [new TroupeError('UNKNOWN', 'AGENT_ERROR', 'no'), 'AGENT_ERROR'],
      [LOST, 'OUTCOME_UNKNOWN'],
    ] as const) {
      executor.answers = [() => Promise.reject(thrown)];
      await expect(run(service)).rejects.toMatchObject({ reason });
    }
  });

  it('goes to its fallback when the rate of its capability is used up; of a caller that has used up its own nothing is done', async () => {
    const { service } = serviceWith([agentOf('a', ['limited']), agentOf('b', ['easy'])], policy);
    const limited = { requiredCapabilities: ['limited'] };
    expect(await run(service, limited)).toMatchObject({ agentId: 'a' });
    expect(await run(service, limited)).toMatchObject({ agentId: 'b', fallbackCapability: 'easy' });
    const strict = serviceWith([agentOf('a', ['work'])], parseRoutingPolicy({ callers: { batch: { perSecond: 0.5 } } }));
    const send = () => strict.service.run(request(), calling({ 'troupe-caller': 'batch' }).call);
    await send();
    await expect(send()).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'RATE_LIMITED',
      retryAfterMs: 2_000,
      violations: [{ field: 'caller:batch' }],
    });
    await strict.service.run(request(), calling().call);
    await expect(strict.service.run(request(), calling({ 'troupe-caller': 'No/Name' }).call)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      violations: [{ field: 'troupe-caller' }],
    });
  });

  it('that is streamed is done by its fallback, or answered by default, as well', async () => {
    const { service, executor } = serviceWith([agentOf('a', ['work']), agentOf('b', ['easy'])], policy);
    executor.streams = [
      () => {
        throw REFUSED;
      },
      async function* () {
        yield routedEvent('b');
        yield { event: { $case: 'result', value: RoutedTaskResult.fromPartial({ agentId: 'b' }) }, cursor: 3n, load: undefined };
      },
    ];
    const events = async () => {
      const got: (RoutedTaskResult | string | undefined)[] = [];
      for await (const { event } of service.runStream(streamRequest(), calling().call) as AsyncIterable<RoutedRunStreamResponse>)
        got.push(event?.event?.$case === 'result' ? event.event.value : event?.event?.$case);
      return got;
    };
    expect(await events()).toMatchObject(['accepted', 'routed', { agentId: 'b', fallbackCapability: 'easy' }]);
    rig.remove('agent', 'a');
    rig.remove('agent', 'b');
    expect(await events()).toMatchObject(['accepted', { defaultAnswer: true }]);
  });
});

describe('a task that is not taken in', () => {
  it('is counted by the reason', async () => {
    const { service, metrics } = serviceWith(
      [agentOf('a', ['work'])],
      parseRoutingPolicy({ callers: { batch: { perSecond: 1 } } }),
    );
    const refused = async (asked: () => unknown) => expect((async () => asked())()).rejects.toThrow();
    const by = (headers = {}) => calling({ 'troupe-caller': 'batch', ...headers }).call;
    await service.run(request(), by());
    await refused(() => service.run(request(), by()));
    await refused(() => service.runStream(streamRequest(), by()));
    await refused(() => service.run(request({ requiredCapabilities: [] }), calling().call));
    await refused(() => service.run(request({ deadline: new Date(1) }), calling().call));
    await refused(() => service.runStream({ ...streamRequest(), resumeWindow: { seconds: -1n, nanos: 0 } }, calling().call));
    const counted = metrics.collect().filter(({ instrument }) => instrument.name.startsWith('troupe.task.'));
    const lines = counted.flatMap(({ instrument, lines }) =>
      lines.map(({ labels, value }) => [instrument.name, ...labels, value]),
    );
    expect(lines.filter(([name]) => name === 'troupe.task.refused')).toEqual([
      ['troupe.task.refused', 'RATE_LIMITED', 2],
      ['troupe.task.refused', 'INVALID_FIELD', 2],
      ['troupe.task.refused', 'DEADLINE_EXCEEDED', 1],
    ]);
    expect(lines.filter(([name]) => name === 'troupe.task.duration')).toMatchObject([
      ['troupe.task.duration', 'work', 'OK', { count: 1 }],
    ]);
  });
});

describe('Tasks.RunStream', () => {
  function open(service: ReturnType<typeof serviceOf>['service'], call: Call) {
    return service.runStream(streamRequest(), call)[Symbol.asyncIterator]() as AsyncIterator<RoutedRunStreamResponse>;
  }

  async function kinds(events: AsyncIterator<RoutedRunStreamResponse>): Promise<string[]> {
    const got: string[] = [];
    for (let step = await events.next(); step.done !== true; step = await events.next()) {
      const { event } = step.value;
      got.push(`${event?.cursor} ${event?.event?.$case}`);
    }
    return got;
  }

  it('numbers its events, from the acceptance to the result', async () => {
    const { service, executor } = serviceOf('a');
    executor.streams = [
      async function* () {
        yield routedEvent('a');
        yield chunk(1n);
        yield { event: { $case: 'progress', value: { fraction: 0.5, note: '' } }, cursor: 0n, load: undefined };
        yield chunk(2n);
        yield {
          event: { $case: 'result', value: { ...done({ task: undefined, attempt: 1, routerIsolated: false }).result } as never },
          cursor: 0n,
          load: undefined,
        };
      },
    ];
    expect(await kinds(open(service, calling().call))).toEqual([
      '1 accepted',
      '2 routed',
      '3 chunk',
      '4 progress',
      '5 chunk',
      '6 result',
    ]);
    expect(executor.left).toBe(1);
  });

  it('goes to another agent where the first did not take it', async () => {
    const { service, executor } = serviceOf('a', 'b');
    const refuse = (): AsyncIterable<RoutedStreamTaskResponse> => {
      throw REFUSED;
    };
    executor.streams = [
      refuse,
      async function* () {
        yield routedEvent('b');
        yield result(3n);
      },
    ];
    expect(await kinds(open(service, calling().call))).toEqual(['1 accepted', '2 routed', '3 result']);
    expect(executor.asked.map(({ attempt }) => attempt)).toEqual([1, 2]);
  });

  it('that is lost amid ends with OUTCOME_UNKNOWN, one that fails with what the agent says', async () => {
    for (const [thrown, expected] of [
      [LOST, { code: 'ABORTED', reason: 'OUTCOME_UNKNOWN', metadata: { agent_id: 'a', node_id: 'node-1' } }],
      [new TroupeError('UNKNOWN', 'AGENT_ERROR', 'no'), { code: 'UNKNOWN', reason: 'AGENT_ERROR' }],
    ] as const) {
      const { service, executor } = serviceOf('a');
      executor.streams = [
        async function* () {
          yield routedEvent('a');
          throw thrown;
        },
      ];
      await expect(kinds(open(service, calling().call))).rejects.toMatchObject(expected);
    }
  });

  it('counts as under way as long as it runs, and is left when its reader leaves', async () => {
    const { service, executor } = serviceOf('a');
    executor.streams = [
      async function* (signal) {
        yield routedEvent('a');
        yield chunk(1n);
        await new Promise<void>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
    ];
    const { call } = calling();
    const events = open(service, call);
    await events.next();
    await events.next();
    await events.next();
    expect(rig.target('a').load.inFlight).toBe(1);
    await events.return?.();
    expect(executor.left).toBe(1);
  });

  it('ends when its caller cancels while an agent works', async () => {
    const { service, executor } = serviceOf('a');
    executor.streams = [
      async function* (signal) {
        yield routedEvent('a');
        await new Promise<void>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
    ];
    const { call, cancel } = calling();
    const events = open(service, call);
    await events.next();
    await events.next();
    const next = events.next();
    await settle();
    cancel();
    await expect(next).rejects.toBeInstanceOf(TroupeError);
    expect(executor.left).toBe(1);
  });

  it('begins anew elsewhere when its node is lost before the first chunk, if it is idempotent', async () => {
    const { service, executor } = serviceOf('a', 'b');
    executor.streams = [
      async function* () {
        yield { ...routedEvent('a'), cursor: 2n };
        throw LOST;
      },
      async function* () {
        yield { ...routedEvent('b'), cursor: 3n };
        yield result(4n);
      },
    ];
    const task = { id: 'task-1', requiredCapabilities: ['work'], idempotent: true };
    const call = calling().call;
    const events = service.runStream(RoutedRunStreamRequest.fromPartial({ task }), call)[Symbol.asyncIterator]();
    expect(await kinds(events as AsyncIterator<RoutedRunStreamResponse>)).toEqual([
      '1 accepted',
      '2 routed',
      '3 routed',
      '4 result',
    ]);
    expect(executor.asked.map(({ attempt }) => attempt)).toEqual([1, 2]);
  });

  it('does not begin anew after a chunk', async () => {
    const { service, executor } = serviceOf('a', 'b');
    executor.streams = [
      async function* () {
        yield routedEvent('a');
        yield chunk(1n);
        throw LOST;
      },
    ];
    const task = { id: 'task-1', requiredCapabilities: ['work'], idempotent: true };
    const events = service.runStream(RoutedRunStreamRequest.fromPartial({ task }), calling().call)[Symbol.asyncIterator]();
    await expect(kinds(events as AsyncIterator<RoutedRunStreamResponse>)).rejects.toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
  });

  it('counts against an agent when it fails, though it began', async () => {
    const { service, executor } = serviceOf('a', 'b', 'c', 'd');
    const failing = async function* () {
      yield routedEvent('a');
      throw new TroupeError('UNKNOWN', 'AGENT_ERROR', 'no');
    };
    for (let n = 0; n < 20; n++) {
      executor.streams = [failing];
      await kinds(open(service, calling().call)).catch(() => undefined);
    }
    expect(rig.transitions.filter((each) => each.endsWith('healthy > ejected'))).toHaveLength(2);
  });

  const CONNECTION_LOST = new TroupeError('CANCELLED', 'CONNECTION_LOST', 'lost');
  const DROPPED = new TroupeError('UNAVAILABLE', 'UNAVAILABLE', 'Connection dropped');
  const resumable = (more: object = {}, windowMs = 5_000) =>
    RoutedRunStreamRequest.fromPartial({
      task: { id: 'task-1', requiredCapabilities: ['work'], ...more },
      resumeWindow: durationFromMs(windowMs),
    });
  const stream = (service: ReturnType<typeof serviceOf>['service'], request: RoutedRunStreamRequest, call = calling().call) =>
    service.runStream(request, call)[Symbol.asyncIterator]() as AsyncIterator<RoutedRunStreamResponse>;
  const cluster = () => serviceWith([nodeOf('node-1'), agentOf('a', ['work'])], NO_POLICY);

  /** A stream of an agent that says nothing more after it began. */
  const silent = (seen: AbortSignal[]) =>
    async function* (signal: AbortSignal) {
      seen.push(signal);
      yield routedEvent('a');
      await new Promise<void>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
    };

  it("of a silent agent is held from when the connection was lost, as nobody's load any more", async () => {
    const { service, executor, clock } = cluster();
    const seen: AbortSignal[] = [];
    executor.streams = [silent(seen)];
    const { call, cancel } = calling({}, CONNECTION_LOST);
    const events = stream(service, resumable(), call);
    await events.next();
    await events.next();
    const waiting = events.next().catch(() => undefined);
    await settle();
    cancel();
    // As the server does it: without waiting.
    void events.return?.().catch(() => undefined);
    await settle();
    expect(rig.target('a').load.inFlight).toBe(0);
    await clock.advance(4_999);
    expect(seen[0]?.aborted).toBe(false);
    await clock.advance(1);
    expect(seen[0]?.aborted).toBe(true);
    await waiting;
  });

  it('goes on at its node when only the connection to it broke', async () => {
    const { service, executor } = cluster();
    executor.streams = [
      async function* () {
        yield { ...routedEvent('a'), cursor: 2n };
        yield { ...chunk(1n), cursor: 3n };
        throw DROPPED;
      },
      async function* () {
        yield { ...chunk(2n), cursor: 4n };
        yield result(5n);
      },
    ];
    expect(await kinds(stream(service, resumable()))).toEqual(['1 accepted', '2 routed', '3 chunk', '4 chunk', '5 result']);
    expect(executor.requests[1]).toMatchObject({ task: { id: 'task-1', agentId: '' }, resumeAfter: 3n });
  });

  it('begins anew where its node does not know it any more, if that does no harm', async () => {
    const unknown = () => {
      throw new TroupeError('NOT_FOUND', 'UNKNOWN_STREAM', 'gone');
    };
    const broken = async function* () {
      yield { ...routedEvent('a'), cursor: 2n };
      throw DROPPED;
    };
    const again = async function* () {
      yield { ...routedEvent('a'), cursor: 3n };
      yield result(4n);
    };
    const { service, executor } = cluster();
    executor.streams = [broken, unknown, again];
    expect(await kinds(stream(service, resumable({ idempotent: true })))).toEqual([
      '1 accepted',
      '2 routed',
      '3 routed',
      '4 result',
    ]);
    executor.streams = [broken, unknown];
    await expect(kinds(stream(service, resumable()))).rejects.toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
  });

  it('that ends without a result has failed', async () => {
    const { service, executor } = serviceOf('a');
    executor.streams = [
      async function* () {
        yield routedEvent('a');
      },
    ];
    await expect(kinds(open(service, calling().call))).rejects.toMatchObject({ code: 'INTERNAL', reason: 'NO_RESULT' });
  });

  it('is found by who took it also before an agent has begun, and tells all to who has seen nothing', async () => {
    const { service, executor } = cluster();
    executor.streams = [
      async function* (signal) {
        await new Promise<void>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
        yield routedEvent('a');
      },
      async function* () {
        yield { ...routedEvent('a'), cursor: 2n };
        yield result(3n);
      },
    ];
    const { call, cancel } = calling({}, CONNECTION_LOST);
    const events = stream(service, resumable(), call);
    await events.next();
    const waiting = events.next().catch(() => undefined);
    await settle();
    cancel();
    const resume = RoutedRunStreamRequest.fromPartial({ resume: { taskId: 'task-1' } });
    expect(await kinds(stream(service, resume))).toEqual(['1 accepted', '2 routed', '3 result']);
    await rig.clock.advance(5_000);
    await waiting;
  });

  it('that is resumed is held for the window that its new reader asks for', async () => {
    const { service, executor, clock } = cluster();
    const seen: AbortSignal[] = [];
    executor.streams = [silent(seen)];
    const { call, cancel } = calling({}, CONNECTION_LOST);
    const request = RoutedRunStreamRequest.fromPartial({
      resume: { taskId: 'task-1', nodeId: 'node-1', afterCursor: 1n },
      resumeWindow: durationFromMs(2_000),
    });
    const events = stream(service, request, call);
    await events.next();
    const waiting = events.next().catch(() => undefined);
    cancel();
    await clock.advance(1_999);
    expect(seen[0]?.aborted).toBe(false);
    await clock.advance(1);
    expect(seen[0]?.aborted).toBe(true);
    await waiting;
  });

  it('is held for a caller whose connection was lost, and called off when its window has passed', async () => {
    const { service, executor, clock } = serviceOf('a');
    const seen: AbortSignal[] = [];
    executor.streams = [
      async function* (signal) {
        seen.push(signal);
        yield routedEvent('a');
        yield chunk(1n);
        await new Promise<void>((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
      },
    ];
    const { call, cancel } = calling({}, new TroupeError('CANCELLED', 'CONNECTION_LOST', 'lost'));
    const request = RoutedRunStreamRequest.fromPartial({
      task: { id: 'task-1', requiredCapabilities: ['work'] },
      resumeWindow: durationFromMs(5_000),
    });
    const events = service.runStream(request, call)[Symbol.asyncIterator]();
    await events.next();
    await events.next();
    cancel();
    await events.return?.();
    await settle();
    expect(seen[0]?.aborted).toBe(false);
    expect(rig.target('a').load.inFlight).toBe(0);
    await clock.advance(5_000);
    expect(seen[0]?.aborted).toBe(true);
  });

  it.each([
    [
      'a window that is too long',
      { task: { requiredCapabilities: ['work'] }, resumeWindow: durationFromMs(300_001) },
      'resume_window',
    ],
    ['both a task and where to resume', { task: { requiredCapabilities: ['work'] }, resume: { taskId: 'task-1' } }, 'task'],
    ['no id of what to resume', { resume: { taskId: '' } }, 'resume.task_id'],
    ['no node', { resume: { taskId: 'task-1', nodeId: '../x' } }, 'resume.node_id'],
  ])('with %s is refused', async (_what, given, field) => {
    const { service } = serviceOf('a');
    const read = async () => {
      const events = service.runStream(RoutedRunStreamRequest.fromPartial(given), calling().call);
      for await (const _event of events);
    };
    await expect(read()).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field }] });
  });

  it('that nobody knows is NOT_FOUND', async () => {
    const { service } = serviceOf('a');
    for (const nodeId of ['', 'nowhere']) {
      const events = service.runStream(
        RoutedRunStreamRequest.fromPartial({ resume: { taskId: 'task-1', nodeId } }),
        calling().call,
      );
      await expect(events[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'UNKNOWN_STREAM' });
    }
  });
});
