import { describe, expect, it } from '@jest/globals';
import { defineAgent } from '../../../src/agent/define-agent.js';
import { systemClock } from '../../../src/core/clock.js';
import { TroupeError } from '../../../src/core/errors.js';
import { toPayload } from '../../../src/core/payload.js';
import { TaskLinkDefinition } from '../../../src/gen/troupe/internal/v1/link.js';
import { RoutedExecuteTaskRequest, type RoutedExecuteTaskResponse } from '../../../src/gen/troupe/internal/v1/routed.js';
import { LocalNodeTasks } from '../../../src/node/local-tasks.js';
import { TaskLinkService } from '../../../src/node/task-link-service.js';
import { openChannel } from '../../../src/rpc/channels.js';
import { decodePayload, encodePayload } from '../../../src/rpc/codec/payload.js';
import { RpcServer } from '../../../src/rpc/server.js';
import { AgentHost } from '../../../src/runtime/host.js';
import { TaskLink } from '../../../src/tasks/task-link.js';
import { silentLogger } from '../../../src/telemetry/logger.js';
import { outcomeOf } from '../../../src/upstream/outcome.js';
import { cleanUp } from '../../support/clean-up.js';
import { eventually } from '../../support/eventually.js';
import { silentPost } from '../../support/silent-post.js';

const IDLE = { current: { eventLoopDelayMs: 0, cpuCores: 0 } };

/** What the agent was told, and what it waits for. */
class Probe {
  readonly aborted: string[] = [];
  readonly begun: string[] = [];

  readonly definition = defineAgent({
    kind: 'probe',
    capabilities: ['probing'],
    concurrency: 1000,
    run: async (task, ctx) => {
      this.begun.push(task.text());
      if (task.text() === 'fail') throw new TroupeError('INVALID_ARGUMENT', 'BAD_INPUT', 'it fails');
      if (task.text() !== 'wait') return `${task.text()} ${ctx.traceparent ?? ''}`.trim();
      return new Promise<string>((_, reject) => {
        ctx.signal.addEventListener('abort', () => {
          this.aborted.push((ctx.signal.reason as TroupeError).code);
          reject(ctx.signal.reason);
        });
      });
    },
  });
}

async function startNode(probe: Probe, port = 0) {
  const host = new AgentHost([probe.definition], {
    nodeId: 'node-1',
    clock: systemClock,
    logger: silentLogger,
    post: silentPost,
  });
  await host.activate({ id: 'probe-1', kind: 'probe' });
  const tasks = new LocalNodeTasks({
    nodeId: 'node-1',
    host,
    membership: { isFenced: false },
    clock: systemClock,
    processLoad: IDLE,
  });
  const links = new TaskLinkService({ tasks, clock: systemClock, logger: silentLogger });
  const server = new RpcServer({ logger: silentLogger });
  server.mount(TaskLinkDefinition, links.handlers);
  const bound = await server.listen('127.0.0.1', port);
  const stop = async () => {
    await host.stopAll(0);
    await server.shutdown(0);
  };
  cleanUp(stop);
  return { port: bound, links, stop };
}

function openLink(port: number): TaskLink {
  const channel = openChannel(`127.0.0.1:${port}`);
  const link = new TaskLink(channel, systemClock);
  cleanUp(() => {
    link.close(new TroupeError('CANCELLED', 'CANCELLED', 'the test ends'));
    channel.close();
  });
  return link;
}

const request = (text: string, agentId = 'probe-1') =>
  RoutedExecuteTaskRequest.fromPartial({ task: { id: 'task-1', agentId, payload: encodePayload(toPayload(text)) }, attempt: 1 });
const inMs = (ms: number) => ({ deadlineMs: systemClock.now() + ms, traceparent: undefined });
const textOf = ({ result }: RoutedExecuteTaskResponse) => decodePayload(result?.payload ?? Buffer.alloc(0));

describe('a task link', () => {
  it('brings each of many tasks its own result', async () => {
    const link = openLink((await startNode(new Probe())).port);
    const names = Array.from({ length: 500 }, (_, index) => `task ${index}`);
    const results = await Promise.all(names.map((name) => link.execute(request(name), inMs(10_000)).response));
    expect(results.map(textOf)).toEqual(names.map((text) => ({ kind: 'text', text })));
  });

  it('carries the trace context', async () => {
    const link = openLink((await startNode(new Probe())).port);
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
    const { response } = link.execute(request('hello'), { ...inMs(10_000), traceparent });
    expect(textOf(await response)).toEqual({ kind: 'text', text: `hello ${traceparent}` });
  });

  it('brings refusals and failures with their details, and goes on', async () => {
    const link = openLink((await startNode(new Probe())).port);
    const refused = link.execute(request('hello', 'nobody'), inMs(10_000)).response;
    const failed = link.execute(request('fail'), inMs(10_000)).response;
    await expect(refused).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'UNKNOWN_AGENT', metadata: { started: 'false' } });
    await expect(failed).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'BAD_INPUT', message: 'it fails' });
    await expect(link.execute(request('hello'), inMs(10_000)).response).resolves.toBeDefined();
  });

  it('tells the agent when its caller cancels', async () => {
    const probe = new Probe();
    const link = openLink((await startNode(probe)).port);
    const { response, cancel } = link.execute(request('wait'), inMs(10_000));
    const ended = expect(response).rejects.toMatchObject({ code: 'CANCELLED' });
    await eventually(() => expect(probe.begun).toEqual(['wait']));
    cancel();
    await ended;
    await eventually(() => expect(probe.aborted).toEqual(['CANCELLED']));
  });

  it('ends a task whose deadline passes, at both ends', async () => {
    const probe = new Probe();
    const link = openLink((await startNode(probe)).port);
    await expect(link.execute(request('wait'), inMs(100)).response).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await eventually(() => expect(probe.aborted).toHaveLength(1));
  });

  it('calls off what a router that has gone had under way', async () => {
    const probe = new Probe();
    const link = openLink((await startNode(probe)).port);
    const ended = expect(link.execute(request('wait'), inMs(10_000)).response).rejects.toMatchObject({ reason: 'GONE' });
    await eventually(() => expect(probe.begun).toEqual(['wait']));
    link.close(new TroupeError('CANCELLED', 'GONE', 'gone'));
    await ended;
    await eventually(() => expect(probe.aborted).toEqual(['CANCELLED']));
  });

  it('says that the outcome of what was sent is unknown when the node is lost, and works again with the next', async () => {
    const probe = new Probe();
    const node = await startNode(probe);
    const link = openLink(node.port);
    const lost = link.execute(request('wait'), inMs(10_000)).response.catch((error: unknown) => error);
    await eventually(() => expect(probe.begun).toEqual(['wait']));
    await node.stop();
    const error = await lost;
    expect(error).toBeInstanceOf(TroupeError);
    expect(error instanceof TroupeError && outcomeOf(error)).toBe('unknown');

    await startNode(probe, node.port);
    await eventually(async () => {
      const { response } = link.execute(request('back'), inMs(2_000));
      expect(textOf(await response)).toEqual({ kind: 'text', text: 'back' });
    });
  });

  it('ends in order when the node does: every task is answered, or certainly did not start', async () => {
    const probe = new Probe();
    const node = await startNode(probe);
    const link = openLink(node.port);
    const waiting = link.execute(request('wait'), inMs(10_000));
    await eventually(() => expect(probe.begun).toEqual(['wait']));
    node.links.close();
    // Until the link has ended tasks go either way, but none is lost.
    const outcomes = new Set<string>();
    await eventually(async () => {
      const outcome = await link.execute(request('more'), inMs(10_000)).response.then(
        () => 'answered',
        (error: TroupeError) => outcomeOf(error),
      );
      outcomes.add(outcome);
      expect(outcome).toBe('not_started');
    });
    expect(outcomes).not.toContain('unknown');
    // What was there before may go on, and is answered; then the link is gone, and the next task opens another.
    waiting.cancel();
    await expect(waiting.response).rejects.toMatchObject({ code: 'CANCELLED' });
  });
});
