import { describe, expect, it } from '@jest/globals';
import { defineAgent } from '../../../src/agent/define-agent.js';
import { systemClock } from '../../../src/core/clock.js';
import { TroupeError } from '../../../src/core/errors.js';
import { toPayload } from '../../../src/core/payload.js';
import {
  RoutedExecuteTaskRequest,
  type RoutedExecuteTaskResponse,
  RoutedStreamTaskRequest,
  type RoutedStreamTaskResponse,
} from '../../../src/gen/troupe/internal/v1/routed.js';
import { decodePayload, encodePayload } from '../../../src/rpc/codec/payload.js';
import { durationFromMs } from '../../../src/rpc/codec/time.js';
import type { TraceHeaders } from '../../../src/telemetry/trace-headers.js';
import { outcomeOf } from '../../../src/upstream/outcome.js';
import { eventually } from '../../support/eventually.js';
import { LinkedProcess } from './linked-process.js';

/** What the agent was told, and what it waits for. */
class Probe {
  readonly aborted: string[] = [];
  readonly begun: string[] = [];
  emitted = 0;

  readonly definition = defineAgent({
    kind: 'probe',
    capabilities: ['probing'],
    concurrency: 1000,
    run: async (task, ctx) => {
      const text = task.text();
      this.begun.push(text.slice(0, 20));
      if (text === 'fail') throw new TroupeError('INVALID_ARGUMENT', 'BAD_INPUT', 'it fails');
      const [what, count = '0', bytes = '1'] = text.split(' ');
      if (what === 'emit') {
        for (let n = 0; n < Number(count) && !ctx.signal.aborted; n++) {
          await ctx.emit(`${n}`.padEnd(Number(bytes), '.'));
          this.emitted += 1;
        }
        return 'emitted';
      }
      if (what !== 'wait') return [text, ...Object.values(ctx.traceHeaders)].join(' ');
      return new Promise<string>((_, reject) => {
        ctx.signal.addEventListener('abort', () => {
          this.aborted.push((ctx.signal.reason as TroupeError).code);
          reject(ctx.signal.reason);
        });
      });
    },
  });
}

async function startNode(probe: Probe, port = 0): Promise<LinkedProcess> {
  const node = new LinkedProcess('node-1', [probe.definition]);
  await node.host.activate({ id: 'probe-1', kind: 'probe' });
  return node.start(port);
}

async function startBoth(probe = new Probe()) {
  const [node, router] = await Promise.all([startNode(probe), new LinkedProcess('router').start()]);
  const target = router.knows('node-1', node.port);
  const execute = (text: string, options: object = {}, agentId = 'probe-1') =>
    router.executor.execute(target, request(text, agentId), { ...inMs(10_000), ...options });
  return { probe, node, router, target, execute };
}

const taskOf = (text: string, agentId = 'probe-1') => ({ id: 'task-1', agentId, payload: encodePayload(toPayload(text)) });
const request = (text: string, agentId?: string) =>
  RoutedExecuteTaskRequest.fromPartial({ task: taskOf(text, agentId), attempt: 1 });
const inMs = (ms: number) => ({ deadlineMs: systemClock.now() + ms, trace: undefined });
const textOf = ({ result }: RoutedExecuteTaskResponse) => decodePayload(result?.payload ?? Buffer.alloc(0));
const outcome = (response: Promise<unknown>) =>
  response.then(
    () => 'answered',
    (error: TroupeError) => outcomeOf(error),
  );

describe('tasks over links', () => {
  it('bring each of many its own result', async () => {
    const { execute } = await startBoth();
    const names = Array.from({ length: 500 }, (_, index) => `task ${index}`);
    const results = await Promise.all(names.map((name) => execute(name).response));
    expect(results.map(textOf)).toEqual(names.map((text) => ({ kind: 'text', text })));
  });

  it('carry the trace context', async () => {
    const { execute } = await startBoth();
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const says = async (trace: TraceHeaders) => textOf(await execute('hello', { trace }).response);
    expect(await says({ traceparent })).toEqual({ kind: 'text', text: `hello ${traceparent}` });
    expect(await says({ traceparent, tracestate: 'shop=1', baggage: 'user=ada' })).toEqual({
      kind: 'text',
      text: `hello ${traceparent} shop=1 user=ada`,
    });
    expect(await says({ traceparent: undefined, baggage: 'user=ada' })).toEqual({ kind: 'text', text: 'hello user=ada' });
  });

  it('bring refusals and failures with their details, and go on', async () => {
    const { execute } = await startBoth();
    const refused = execute('hello', {}, 'nobody').response;
    const failed = execute('fail').response;
    await expect(refused).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'UNKNOWN_AGENT', metadata: { started: 'false' } });
    await expect(failed).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'BAD_INPUT', message: 'it fails' });
    await expect(execute('hello').response).resolves.toBeDefined();
  });

  it('go in parts where they are large, and a small one sent after a large one overtakes it', async () => {
    const { execute } = await startBoth();
    await execute('hello').response;
    const large = 'x'.repeat(3_000_000);
    const done: string[] = [];
    await Promise.all([
      execute(large).response.then((response) => {
        done.push('large');
        expect(textOf(response)).toEqual({ kind: 'text', text: large });
      }),
      execute('small').response.then(() => done.push('small')),
    ]);
    expect(done).toEqual(['small', 'large']);
  });

  it('that are called off right after they were sent are called off there, also large ones', async () => {
    const { execute, probe } = await startBoth();
    await execute('hello').response;
    const { response, cancel } = execute(`wait ${'x'.repeat(1_000_000)}`);
    cancel();
    await expect(response).rejects.toMatchObject({ code: 'CANCELLED' });
    // Its agent may have begun it by then, or not.
    await execute('hello').response;
    await eventually(() => expect(probe.aborted.length).toBe(probe.begun.filter((text) => text.startsWith('wait')).length));
  });

  it('tell the agent when its caller cancels', async () => {
    const { execute, probe } = await startBoth();
    const { response, cancel } = execute('wait');
    const ended = expect(response).rejects.toMatchObject({ code: 'CANCELLED' });
    await eventually(() => expect(probe.begun).toEqual(['wait']));
    cancel();
    await ended;
    await eventually(() => expect(probe.aborted).toEqual(['CANCELLED']));
  });

  it('end when their deadline passes, at both ends', async () => {
    const { execute, probe } = await startBoth();
    await expect(execute('wait', inMs(100)).response).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await eventually(() => expect(probe.aborted).toHaveLength(1));
  });

  it('are called off when the router has gone', async () => {
    const { execute, probe, router } = await startBoth();
    const ended = outcome(execute('wait').response);
    await eventually(() => expect(probe.begun).toEqual(['wait']));
    await router.stop();
    expect(await ended).toBe('unknown');
    await eventually(() => expect(probe.aborted).toEqual(['CANCELLED']));
  });

  it('have an unknown outcome when the node is lost, and work again with the next', async () => {
    const { execute, probe, node } = await startBoth();
    const lost = outcome(execute('wait').response);
    await eventually(() => expect(probe.begun).toEqual(['wait']));
    await node.stop();
    expect(await lost).toBe('unknown');
    await startNode(probe, node.port);
    await eventually(async () =>
      expect(textOf(await execute('back', inMs(2_000)).response)).toEqual({ kind: 'text', text: 'back' }),
    );
  });

  it('are answered, or certainly did not start, when the node ends in order', async () => {
    const { execute, node } = await startBoth();
    await execute('hello').response;
    const outcomes: Promise<string>[] = [];
    let isOver = false;
    const sending = (async () => {
      while (!isOver) {
        for (let n = 0; n < 50; n++) outcomes.push(outcome(execute('more').response));
        await new Promise((resolve) => setImmediate(resolve));
      }
    })();
    await eventually(() => expect(outcomes.length).toBeGreaterThan(200));
    await node.links.drain();
    await node.host.stopAll(1_000);
    node.links.finish();
    await eventually(async () => expect(await outcome(execute('late').response)).toBe('not_started'));
    isOver = true;
    await sending;
    expect(new Set(await Promise.all(outcomes))).toEqual(new Set(['answered', 'not_started']));
  });
});

const streamOf = (text: string, more: object = {}) => RoutedStreamTaskRequest.fromPartial({ task: taskOf(text), ...more });
const number = ({ event }: RoutedStreamTaskResponse) =>
  event?.$case === 'chunk' ? Number.parseInt((decodePayload(event.value.payload) as { text: string }).text, 10) : event?.$case;

async function readAll(stream: AsyncIterable<RoutedStreamTaskResponse>) {
  const seen: (number | string | undefined)[] = [];
  for await (const message of stream) seen.push(number(message));
  return seen;
}

describe('streamed tasks over links', () => {
  const inOrder = (count: number) => ['routed', ...Array.from({ length: count }, (_, n) => n), 'result'];

  it('give all in order, large and small', async () => {
    const { router, target } = await startBoth();
    for (const [count, bytes] of [
      [500, 10],
      [20, 300_000],
    ] as const) {
      const stream = router.executor.stream(target.instance, streamOf(`emit ${count} ${bytes}`), {
        ...inMs(10_000),
        signal: new AbortController().signal,
      });
      expect(await readAll(stream)).toEqual(inOrder(count));
    }
  });

  it('wait for their reader', async () => {
    const { router, target, probe } = await startBoth();
    const signal = new AbortController().signal;
    const stream = router.executor.stream(target.instance, streamOf('emit 200 10'), { ...inMs(10_000), signal });
    await stream.next();
    await eventually(() => expect(probe.emitted).toBeGreaterThan(16));
    // Nothing tells that no more comes: whatever the link may carry by then has been carried.
    for (let n = 0; n < 20; n++) await router.executor.execute(target, request('hello'), inMs(10_000)).response;
    expect(probe.emitted).toBeLessThan(60);
    await stream.return();
    await eventually(() => expect(probe.emitted).toBeLessThan(200));
  });

  it('end the work when their reader leaves, or its signal aborts', async () => {
    const { router, target, probe } = await startBoth();
    const caller = new AbortController();
    const stream = router.executor.stream(target.instance, streamOf('wait'), { ...inMs(10_000), signal: caller.signal });
    await stream.next();
    const waiting = expect(stream.next()).rejects.toMatchObject({ reason: 'GONE' });
    caller.abort(new TroupeError('CANCELLED', 'GONE', 'gone'));
    await waiting;
    await eventually(() => expect(probe.aborted).toHaveLength(1));

    const left = router.executor.stream(target.instance, streamOf('wait'), {
      ...inMs(10_000),
      signal: new AbortController().signal,
    });
    await left.next();
    await left.return();
    await eventually(() => expect(probe.aborted).toHaveLength(2));
  });

  it('go on after the link broke where they can be resumed, and end otherwise', async () => {
    const { router, node, probe } = await startBoth();
    const others = new LinkedProcess('router-2');
    await others.start();
    const target = others.knows('node-1', node.port);
    const options = () => ({ ...inMs(10_000), signal: new AbortController().signal });
    const window = { resumeWindow: durationFromMs(10_000) };
    const stream = others.executor.stream(target.instance, streamOf('emit 100 10', window), options());
    const ended = others.executor.stream(
      target.instance,
      { ...streamOf('wait'), task: { ...streamOf('wait').task, id: 'task-2' } as never },
      options(),
    );
    await ended.next();
    const first = [number((await stream.next()).value as never), number((await stream.next()).value as never)];
    expect(first).toEqual(['routed', 0]);
    const last = outcome(ended.next());
    await others.stop();
    expect(await last).toBe('unknown');
    await eventually(() => expect(probe.aborted).toHaveLength(1));
    const again = router.executor.stream(target.instance, streamOf('', { ...window, resumeAfter: 2n }), options());
    expect(await readAll(again)).toEqual(inOrder(100).slice(2));
  });
});
