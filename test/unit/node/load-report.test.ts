import { expect, it } from '@jest/globals';
import { defineAgent } from '../../../src/agent/define-agent.js';
import { RoutedExecuteTaskRequest } from '../../../src/gen/troupe/internal/v1/routed.js';
import { Priority } from '../../../src/gen/troupe/v1/task.js';
import { LocalNodeTasks } from '../../../src/node/local-tasks.js';
import { AgentHost } from '../../../src/runtime/host.js';
import { silentLogger } from '../../../src/telemetry/logger.js';
import { FakeClock, settle } from '../../support/fake-clock.js';
import { silentPost } from '../../support/silent-post.js';

const clock = new FakeClock();

async function nodeWith(concurrency: number) {
  const begun: string[] = [];
  const ends: (() => void)[] = [];
  const definition = defineAgent({
    kind: 'k',
    capabilities: ['c'],
    concurrency,
    run: (task) => {
      begun.push(task.id);
      return new Promise<string>((resolve) => ends.push(() => resolve('done')));
    },
  });
  const host = new AgentHost([definition], { nodeId: 'node-1', clock, logger: silentLogger, post: silentPost });
  await host.activate({ id: 'a-1', kind: 'k' });
  const processLoad = { current: { eventLoopDelayMs: 1.2345, cpuCores: 0.4567 } };
  const tasks = new LocalNodeTasks({ nodeId: 'node-1', host, membership: { isFenced: false }, clock, processLoad });
  const run = (id: string, priority = Priority.PRIORITY_UNSPECIFIED) =>
    tasks.execute(RoutedExecuteTaskRequest.fromPartial({ task: { id, agentId: 'a-1', priority } }), {
      deadlineMs: clock.now() + 60_000,
      trace: undefined,
    }).response;
  return { run, begun, ends };
}

it('a reply tells how busy the agent and its process are', async () => {
  const { run, ends } = await nodeWith(2);
  const replies = [run('one'), run('two'), run('three')];
  ends[0]?.();
  const [first] = await Promise.all(replies.slice(0, 1));
  expect(first?.load).toEqual({ inFlight: 2, queued: 1, limit: 2, eventLoopDelayUs: 1_235, cpuMillis: 457 });
});

it('tasks are begun by their priority, which counts as normal when it is not given or not known', async () => {
  const { run, begun, ends } = await nodeWith(1);
  void run('first');
  void run('low', Priority.PRIORITY_LOW);
  void run('unspecified');
  void run('newer', 17 as Priority);
  void run('normal', Priority.PRIORITY_NORMAL);
  void run('critical', Priority.PRIORITY_CRITICAL);
  for (let i = 0; i < 6; i++) {
    ends[i]?.();
    await settle();
  }
  expect(begun).toEqual(['first', 'critical', 'unspecified', 'newer', 'normal', 'low']);
});
