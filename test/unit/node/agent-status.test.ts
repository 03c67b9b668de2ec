import { describe, expect, it } from '@jest/globals';
import { defineAgent } from '../../../src/agent/define-agent.js';
import type { TaskId } from '../../../src/core/ids.js';
import { toPayload } from '../../../src/core/payload.js';
import { AgentState } from '../../../src/gen/troupe/v1/agent.js';
import { CircuitState } from '../../../src/gen/troupe/v1/health.js';
import { agentStatusToMessage } from '../../../src/node/agent-status.js';
import { AgentHost } from '../../../src/runtime/host.js';
import { silentLogger } from '../../../src/telemetry/logger.js';
import { FakeClock, settle } from '../../support/fake-clock.js';
import { silentPost } from '../../support/silent-post.js';

const clock = new FakeClock();

async function statusAfter(failures: number, circuit: false | { failures: number }) {
  const definition = defineAgent({
    kind: 'k',
    capabilities: ['c'],
    concurrency: 3,
    circuit,
    run: () => Promise.reject(new Error('no model')),
  });
  const host = new AgentHost([definition], { nodeId: 'node-1', clock, logger: silentLogger, post: silentPost });
  const activation = await host.activate({ id: 'a-1', kind: 'k', weight: 7 });
  for (let i = 0; i < failures; i++) {
    const { result } = host.execute('a-1', {
      id: 'task-1' as TaskId,
      attempt: 1,
      requiredCapabilities: [],
      labels: new Map(),
      priority: 'normal',
      payload: () => toPayload('hello'),
      deadlineMs: clock.now() + 60_000,
      trace: undefined,
    });
    await result.catch(() => undefined);
    await settle();
  }
  return agentStatusToMessage(activation.status(), 'node-1');
}

describe('the status of an agent', () => {
  it('has its circuit and its limit of tasks at once', async () => {
    expect(await statusAfter(2, { failures: 2 })).toMatchObject({
      manifest: { id: 'a-1', kind: 'k', concurrency: 3, mailboxCapacity: 100, weight: 7, adaptiveConcurrency: false },
      state: AgentState.AGENT_STATE_RUNNING,
      failed: 2n,
      concurrencyLimit: 3,
      circuit: {
        service: 'agent',
        id: 'a-1',
        state: CircuitState.CIRCUIT_STATE_OPEN,
        failures: 2n,
        lastFailure: 'agent "a-1" failed: no model',
      },
    });
  });

  it('has no circuit where that is switched off', async () => {
    expect((await statusAfter(3, false)).circuit).toBeUndefined();
  });
});
