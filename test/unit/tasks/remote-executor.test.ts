import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { systemClock } from '../../../src/core/clock.js';
import { TroupeError } from '../../../src/core/errors.js';
import { ClusterView, type Target } from '../../../src/discovery/view.js';
import { TaskLinkDefinition } from '../../../src/gen/troupe/internal/v1/link.js';
import { RoutedExecuteTaskRequest, type RoutedExecuteTaskResponse } from '../../../src/gen/troupe/internal/v1/routed.js';
import { ChannelPool, isConnected } from '../../../src/rpc/channels.js';
import { RpcServer } from '../../../src/rpc/server.js';
import { NodeTaskExecutor } from '../../../src/tasks/remote-executor.js';
import { silentLogger } from '../../../src/telemetry/logger.js';
import { outcomeOf } from '../../../src/upstream/outcome.js';
import { eventually } from '../../support/eventually.js';
import { agentOf, nodeOf } from '../discovery/instances.js';

/** A node that takes tasks, and answers when the test says so. */
class StubNode {
  readonly server = new RpcServer({ logger: silentLogger });
  port = 0;
  taken = 0;
  private answerAll: () => void = () => undefined;
  private readonly answered = new Promise<void>((resolve) => {
    this.answerAll = resolve;
  });

  async start(): Promise<this> {
    const node = this;
    this.server.mount(TaskLinkDefinition, {
      async *exchange(requests) {
        for await (const { envelopes } of requests) {
          node.taken += envelopes.filter(({ content }) => content?.$case === 'execute').length;
          await node.answered;
          yield {
            envelopes: envelopes.map(({ id }) => ({
              id,
              outcome: { $case: 'response', value: { result: undefined, load: undefined } },
            })),
          };
        }
      },
    });
    this.port = await this.server.listen('127.0.0.1', 0);
    return this;
  }

  answer(): void {
    this.answerAll();
  }

  async stop(): Promise<void> {
    this.answer();
    await this.server.shutdown(0);
  }
}

let node: StubNode;
let channels: ChannelPool;
let view: ClusterView;
let executor: NodeTaskExecutor;

beforeEach(async () => {
  node = await new StubNode().start();
  channels = new ChannelPool();
  view = new ClusterView(systemClock);
  executor = new NodeTaskExecutor(channels, view, systemClock);
});

afterEach(async () => {
  executor.close();
  channels.close();
  await node.stop();
});

const endpoint = () => ({ host: '127.0.0.1', port: node.port });

/** An agent on a node at the stub's address. */
function agentAt(nodeId: string): Target {
  view.apply(
    [
      { kind: 'put', instance: nodeOf(nodeId, { endpoint: endpoint() }) },
      { kind: 'put', instance: agentOf(`agent-of-${nodeId}`, ['x'], { nodeId, endpoint: endpoint() }) },
    ],
    view.revision + 1n,
  );
  const target = view.catalog.get({ service: 'agent', id: `agent-of-${nodeId}` });
  if (target === undefined) throw new Error('no such agent');
  return target;
}

function leave(nodeId: string): void {
  view.apply([{ kind: 'removed', key: { service: 'node', id: nodeId } }], view.revision + 1n);
}

const request = RoutedExecuteTaskRequest.fromPartial({ task: { id: 'task-1' }, attempt: 1 });
const options = () => ({ deadlineMs: Date.now() + 10_000, traceparent: undefined });

/** What became of a try: its response, or what is known of it. */
function outcome(response: Promise<RoutedExecuteTaskResponse>): Promise<string> {
  return response.then(
    () => 'done',
    (error: unknown) => (error instanceof TroupeError ? `${outcomeOf(error)} ${error.reason}` : `unexpected ${String(error)}`),
  );
}

describe('NodeTaskExecutor', () => {
  it('does a task on another node', async () => {
    const target = agentAt('node-1');
    const { response } = executor.execute(target, request, options());
    await eventually(() => expect(node.taken).toBe(1));
    node.answer();
    expect(await outcome(response)).toBe('done');
  });

  it('says that a task has not started on a node that cannot be reached', async () => {
    const target = agentAt('node-1');
    await node.stop();
    expect(await outcome(executor.execute(target, request, options()).response)).toBe('not_started NOT_CONNECTED');
  });

  it('ends at once what is under way on a node that leaves the cluster', async () => {
    const target = agentAt('node-1');
    const { response } = executor.execute(target, request, options());
    await eventually(() => expect(node.taken).toBe(1));
    leave('node-1');
    expect(await outcome(response)).toBe('unknown NODE_LOST');
  });

  it('leaves alone what is under way on a node that has taken the address of one that leaves', async () => {
    const before = executor.execute(agentAt('node-1'), request, options());
    const after = executor.execute(agentAt('node-2'), request, options());
    await eventually(() => expect(node.taken).toBe(2));
    leave('node-1');
    expect(await outcome(before.response)).toBe('unknown NODE_LOST');
    node.answer();
    expect(await outcome(after.response)).toBe('done');
    const channel = channels.get(`127.0.0.1:${node.port}`);
    expect(isConnected(channel)).toBe(true);
    leave('node-2');
    expect(isConnected(channel)).toBe(false);
  });

  it('calls off a task before it was sent, and after', async () => {
    const target = agentAt('node-1');
    const unsent = executor.execute(target, request, options());
    unsent.cancel();
    expect(await outcome(unsent.response)).toBe('not_started CANCELLED');
    const sent = executor.execute(target, request, options());
    await eventually(() => expect(node.taken).toBe(1));
    sent.cancel();
    expect(await outcome(sent.response)).toBe('unknown CANCELLED');
  });

  it('says, of a task whose node left while it was being reached, that it has not started', async () => {
    const target = agentAt('node-1');
    const { response } = executor.execute(target, request, options());
    leave('node-1');
    expect(await outcome(response)).toBe('not_started NOT_CONNECTED');
  });
});
