import { describe, expect, test } from '@jest/globals';
import { TroupeError } from '../../../../src/core/errors.js';
import { AgentState } from '../../../../src/gen/troupe/v1/agent.js';
import type { DeployAgentRequest, DrainRequest, UndeployAgentRequest } from '../../../../src/gen/troupe/v1/node.js';
import { fakeCluster, troupe } from '../fake-cluster.js';
import { agentStatus } from '../messages.js';

/** A node that does what it is told, and keeps what that was. */
async function obedient() {
  const asked: { deploy?: DeployAgentRequest; undeploy?: UndeployAgentRequest; drain?: DrainRequest } = {};
  const address = await fakeCluster({
    node: {
      deployAgent: (request) => {
        asked.deploy = request;
        const { id = '' } = request.manifest ?? {};
        return { agent: agentStatus(id, request.nodeId || 'node-1', { manifest: request.manifest }) };
      },
      undeployAgent: (request) => {
        asked.undeploy = request;
        return { agent: agentStatus(request.agentId, 'node-1', { state: AgentState.AGENT_STATE_STOPPED }) };
      },
      drain: (request) => {
        asked.drain = request;
        return { finished: 3, cancelled: 1 };
      },
    },
  });
  return { address, asked };
}

describe('troupe deploy', () => {
  test('makes an id from the kind, and leaves the rest to kind and cluster', async () => {
    const { address, asked } = await obedient();
    const { code, io } = await troupe(address, ['deploy', 'data']);
    expect(code).toBe(0);
    expect(asked.deploy).toMatchObject({
      nodeId: '',
      manifest: {
        kind: 'data',
        capabilities: [],
        config: {},
        concurrency: undefined,
        mailboxCapacity: undefined,
        weight: undefined,
        adaptiveConcurrency: undefined,
      },
    });
    const id = asked.deploy?.manifest?.id;
    expect(id).toMatch(/^data-[a-z0-9]{5}$/);
    expect(io.out).toMatch(new RegExp(`^${id} runs on node-1`));
  });

  test('makes an id that is short enough of the longest kind', async () => {
    const { address, asked } = await obedient();
    expect((await troupe(address, ['deploy', 'k'.repeat(63)])).code).toBe(0);
    expect(asked.deploy?.manifest?.id).toHaveLength(63);
  });

  test('passes on what is given', async () => {
    const { address, asked } = await obedient();
    const flags = ['--id', 'ai-1', '--node', 'node-2', '--capability', 'a,b', '--capability', 'c', '--concurrency', '4'];
    const more = [
      '--mailbox',
      '7',
      '--weight',
      '9',
      '--adaptive',
      '--config',
      '{"language": "en", "layers": [1, null]}',
      '-o',
      'json',
    ];
    const { io } = await troupe(address, ['deploy', 'ai', ...flags, ...more]);
    expect(asked.deploy).toMatchObject({
      nodeId: 'node-2',
      manifest: {
        id: 'ai-1',
        kind: 'ai',
        capabilities: ['a', 'b', 'c'],
        concurrency: 4,
        mailboxCapacity: 7,
        weight: 9,
        adaptiveConcurrency: true,
        config: { language: 'en', layers: [1, null] },
      },
    });
    expect(JSON.parse(io.out)).toEqual({
      id: 'ai-1',
      kind: 'ai',
      nodeId: 'node-2',
      state: 'RUNNING',
      capabilities: ['a', 'b', 'c'],
      config: { language: 'en', layers: [1, null] },
      concurrency: 4,
      mailboxCapacity: 7,
      weight: 9,
      adaptiveConcurrency: true,
    });
  });

  test.each(['--concurrency', '--mailbox', '--weight'])('refuses 0 for %s before it asks anybody', async (option) => {
    const { address, asked } = await obedient();
    const { code, io } = await troupe(address, ['deploy', 'data', option, '0']);
    expect(code).toBe(2);
    expect(io.err).toContain('It must be a whole number from 1 to');
    expect(asked.deploy).toBeUndefined();
  });

  test('ends with 4 when it is refused', async () => {
    const address = await fakeCluster({
      node: {
        deployAgent: () => {
          throw new TroupeError('FAILED_PRECONDITION', 'AGENT_START_FAILED', 'agent "b1" failed to start: no model');
        },
      },
    });
    const { code, io } = await troupe(address, ['deploy', 'ai', '--id', 'b1']);
    expect({ code, out: io.out, err: io.err }).toEqual({
      code: 4,
      out: '',
      err: 'error: agent "b1" failed to start: no model (FAILED_PRECONDITION AGENT_START_FAILED)\n',
    });
  });
});

describe('troupe undeploy', () => {
  test('says what the agent did', async () => {
    const { address, asked } = await obedient();
    const { io } = await troupe(address, ['undeploy', 'data-1']);
    expect(io.out).toBe('data-1 stopped on node-1: 30 tasks completed, 4 failed\n');
    expect(asked.undeploy).toEqual({ agentId: 'data-1', grace: { seconds: 10n, nanos: 0 } });
  });

  test('passes the grace time on', async () => {
    const { address, asked } = await obedient();
    const { io } = await troupe(address, ['undeploy', 'data-1', '--grace', '0s', '-o', 'json']);
    expect(asked.undeploy?.grace).toEqual({ seconds: 0n, nanos: 0 });
    expect(JSON.parse(io.out)).toEqual({ id: 'data-1', nodeId: 'node-1', completed: 30, failed: 4 });
  });
});

describe('troupe drain', () => {
  test('says what became of the work', async () => {
    const { address, asked } = await obedient();
    const { io } = await troupe(address, ['drain', 'node-1', '--grace', '1.5s']);
    expect(io.out).toBe('node-1 is drained: 3 tasks finished, 1 cancelled\n');
    expect(asked.drain).toEqual({ nodeId: 'node-1', grace: { seconds: 1n, nanos: 500_000_000 } });
  });

  test('gives the same to programs', async () => {
    const { address } = await obedient();
    const { io } = await troupe(address, ['drain', 'node-1', '-o', 'json']);
    expect(JSON.parse(io.out)).toEqual({ nodeId: 'node-1', finished: 3, cancelled: 1 });
  });
});
