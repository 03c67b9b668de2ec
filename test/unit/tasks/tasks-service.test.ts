import { afterEach, describe, expect, it } from '@jest/globals';
import { TroupeError } from '../../../src/core/errors.js';
import { ClusterView } from '../../../src/discovery/view.js';
import {
  type RoutedExecuteTaskRequest,
  RoutedExecuteTaskResponse,
  RoutedRunRequest,
  type RoutedRunResponse,
  RoutedRunStreamRequest,
  type RoutedRunStreamResponse,
  type RoutedStreamTaskResponse,
} from '../../../src/gen/troupe/internal/v1/routed.js';
import type { Call } from '../../../src/rpc/call.js';
import type { ExecuteOptions, TaskExecutor } from '../../../src/tasks/executor.js';
import { tasksService } from '../../../src/tasks/tasks-service.js';
import { Destinations } from '../../../src/upstream/destinations.js';
import { Router } from '../../../src/upstream/router.js';
import { FakeClock, settle } from '../../support/fake-clock.js';
import { seededRandom } from '../../support/seeded-random.js';
import { agentOf } from '../discovery/instances.js';
import { callOf } from '../registry/registry-rig.js';

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

let view = new ClusterView(new FakeClock());

function serviceOf(...ids: string[]) {
  const clock = new FakeClock();
  const random = seededRandom(3);
  view = new ClusterView(clock);
  view.reset(
    ids.map((id) => agentOf(id, ['work'])),
    1n,
  );
  const executor = new ScriptedExecutor();
  const router = new Router({ destinations: new Destinations(view, random, clock), clock, random });
  const state = { isolated: false };
  const deps = { router, executor, clock, random, defaultStrategy: 'round_robin' as const, isIsolated: () => state.isolated };
  return { clock, executor, state, service: tasksService(deps) };
}

function calling(headers: Readonly<Record<string, string>> = {}): { readonly call: Call; readonly cancel: () => void } {
  const controller = new AbortController();
  const call: Call = Object.create(callOf(controller.signal), { header: { value: (name: string) => headers[name] } });
  return { call, cancel: () => controller.abort(new TroupeError('CANCELLED', 'CANCELLED', 'gone')) };
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

afterEach(() => {
  for (const { key, load } of view.catalog.all()) expect([key, load.inFlight]).toEqual([key, 0]);
});

describe('Tasks.Run', () => {
  async function run(service: ReturnType<typeof serviceOf>['service'], call: Call, more: object = {}) {
    return (await service.run(request(more), call)) as RoutedRunResponse;
  }

  it('gives the result of an agent, with the deadline and the trace of the caller on the way', async () => {
    const { service, executor, clock } = serviceOf('a');
    expect(await run(service, calling({ traceparent: TRACE }).call)).toMatchObject({
      result: { taskId: 'task-1', agentId: 'a', attempt: 1 },
    });
    const [asked] = executor.asked;
    expect(asked?.options.deadlineMs).toBe(clock.now() + 30_000);
    expect(asked?.options.traceparent).toMatch(/^00-0af7651916cd43dd8448eb211c80319c-(?!b7ad6b7169203331)[0-9a-f]{16}-01$/);
    await run(service, calling({ traceparent: 'nonsense' }).call);
    expect(executor.asked[1]?.options.traceparent).toBeUndefined();
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
      },
    ];
    expect(await kinds(open(service, calling().call))).toEqual(['1 accepted', '2 routed']);
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
    expect(view.catalog.get({ service: 'agent', id: 'a' })?.load.inFlight).toBe(1);
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
});
