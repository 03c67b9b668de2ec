import { describe, expect, it } from '@jest/globals';
import { defineAgent } from '../../../src/agent/define-agent.js';
import { abortable } from '../../../src/core/abort.js';
import { TroupeError } from '../../../src/core/errors.js';
import { RoutedExecuteTaskRequest, RoutedStreamTaskRequest } from '../../../src/gen/troupe/internal/v1/routed.js';
import { type ExecuteTaskRequest, NodeDefinition } from '../../../src/gen/troupe/v1/node.js';
import { isConnected } from '../../../src/rpc/channels.js';
import { RpcServer } from '../../../src/rpc/server.js';
import { silentLogger } from '../../../src/telemetry/logger.js';
import { outcomeOf } from '../../../src/upstream/outcome.js';
import { cleanUp } from '../../support/clean-up.js';
import { eventually } from '../../support/eventually.js';
import { LinkedProcess } from './linked-process.js';

/** A node whose agent ends its tasks when the test says so. */
async function startNode(nodeId: string, port = 0) {
  let answer: (text: string) => void = () => undefined;
  const answered = new Promise<string>((resolve) => {
    answer = resolve;
  });
  const definition = defineAgent({
    kind: 'held',
    capabilities: ['x'],
    concurrency: 10,
    run: (_, ctx) => abortable(answered, ctx.signal),
  });
  const node = new LinkedProcess(nodeId, [definition]);
  await node.host.activate({ id: `agent-of-${nodeId}`, kind: 'held' });
  await node.start(port);
  return { node, answer, taken: () => node.host.totals().inFlight };
}

const startRouter = () => new LinkedProcess('router').start();
const request = (nodeId: string) =>
  RoutedExecuteTaskRequest.fromPartial({ task: { id: 'task-1', agentId: `agent-of-${nodeId}` }, attempt: 1 });
const options = () => ({ deadlineMs: Date.now() + 10_000, trace: undefined });

/** Sends a task to the agent of a node that is at `port`. */
function send(router: LinkedProcess, nodeId: string, port: number) {
  return router.executor.execute(router.knows(nodeId, port, `agent-of-${nodeId}`), request(nodeId), options());
}

/** What became of a try: its response, or what is known of it. */
function outcome(response: Promise<unknown>): Promise<string> {
  return response.then(
    () => 'done',
    (error: unknown) => (error instanceof TroupeError ? `${outcomeOf(error)} ${error.reason}` : `unexpected ${String(error)}`),
  );
}

describe('NodeTaskExecutor', () => {
  it('does a task on another node', async () => {
    const [{ node, answer, taken }, router] = await Promise.all([startNode('node-1'), startRouter()]);
    const { response } = send(router, 'node-1', node.port);
    await eventually(() => expect(taken()).toBe(1));
    answer('yes');
    expect(await outcome(response)).toBe('done');
  });

  it('says that a task has not started on a node that cannot be reached', async () => {
    const [{ node }, router] = await Promise.all([startNode('node-1'), startRouter()]);
    await node.stop();
    expect(await outcome(send(router, 'node-1', node.port).response)).toBe('not_started NOT_CONNECTED');
    // The next one need not wait for that.
    expect(await outcome(send(router, 'node-1', node.port).response)).toBe('not_started NOT_CONNECTED');
  });

  it('says that a task has not started where another node is at the address', async () => {
    const [{ node }, router] = await Promise.all([startNode('node-2'), startRouter()]);
    expect(await outcome(send(router, 'node-1', node.port).response)).toBe('not_started NOT_CONNECTED');
  });

  it('ends at once what is under way on a node that leaves the cluster', async () => {
    const [{ node, taken }, router] = await Promise.all([startNode('node-1'), startRouter()]);
    const { response } = send(router, 'node-1', node.port);
    await eventually(() => expect(taken()).toBe(1));
    router.forgets('node-1');
    expect(await outcome(response)).toBe('unknown NODE_LOST');
    expect(isConnected(router.channels.get(`127.0.0.1:${node.port}`))).toBe(false);
  });

  it('calls off a task that waits for its link, and one that was sent', async () => {
    const [{ node, taken }, router] = await Promise.all([startNode('node-1'), startRouter()]);
    const unsent = send(router, 'node-1', node.port);
    unsent.cancel();
    expect(await outcome(unsent.response)).toBe('unknown CANCELLED');
    const sent = send(router, 'node-1', node.port);
    await eventually(() => expect(taken()).toBe(1));
    sent.cancel();
    expect(await outcome(sent.response)).toBe('unknown CANCELLED');
    await eventually(() => expect(taken()).toBe(0));
  });

  it('says, of a task whose node left while it was being reached, that it has not started', async () => {
    const [{ node }, router] = await Promise.all([startNode('node-1'), startRouter()]);
    const { response } = send(router, 'node-1', node.port);
    router.forgets('node-1');
    expect(await outcome(response)).toBe('not_started NODE_LOST');
  });
});

describe('NodeTaskExecutor, for a node that serves the public contract alone', () => {
  async function startPlain() {
    const server = new RpcServer({ logger: silentLogger });
    const taken: ExecuteTaskRequest[] = [];
    const never = new Promise<never>(() => undefined);
    const unused = () => {
      throw new TroupeError('UNIMPLEMENTED', 'UNIMPLEMENTED', 'not served');
    };
    server.mount(NodeDefinition, {
      deployAgent: unused,
      undeployAgent: unused,
      listAgents: unused,
      watchHealth: unused,
      getStatus: unused,
      drain: unused,
      executeTask: (task) => {
        taken.push(task);
        return task.attempt === 2 ? never : { result: undefined, load: undefined };
      },
      async *streamTask() {
        yield { event: { $case: 'routed', value: { agentId: 'a', nodeId: 'plain', attempt: 1 } }, cursor: 1n, load: undefined };
        yield { event: { $case: 'chunk', value: { sequence: 1n, payload: undefined } }, cursor: 2n, load: undefined };
      },
    });
    const port = await server.listen('127.0.0.1', 0);
    cleanUp(() => server.shutdown(0));
    const router = await startRouter();
    return { router, taken, port, target: router.knows('plain', port, 'agent-of-plain') };
  }

  it('does a task by a call, the first one too', async () => {
    const { router, taken, port } = await startPlain();
    const first = [1, 2, 3].map(() => outcome(send(router, 'plain', port).response));
    expect(await Promise.all(first)).toEqual(['done', 'done', 'done']);
    expect(await outcome(send(router, 'plain', port).response)).toBe('done');
    expect(taken).toHaveLength(4);
  });

  it('streams a task by a call', async () => {
    const { router, target } = await startPlain();
    const signal = new AbortController().signal;
    for (let n = 0; n < 2; n++) {
      const seen: (string | undefined)[] = [];
      const stream = router.executor.stream(target.instance, RoutedStreamTaskRequest.fromPartial({}), { ...options(), signal });
      for await (const { event } of stream) seen.push(event?.$case);
      expect(seen).toEqual(['routed', 'chunk']);
    }
  });

  it('ends at once what is under way when the node leaves the cluster', async () => {
    const { router, taken, target } = await startPlain();
    const { response } = router.executor.execute(target, { ...request('plain'), attempt: 2 }, options());
    await eventually(() => expect(taken).toHaveLength(1));
    router.forgets('plain');
    expect(await outcome(response)).toBe('unknown NODE_LOST');
  });
});
