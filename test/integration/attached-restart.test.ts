import { beforeAll, describe, expect, it } from '@jest/globals';
import type { TroupeClient } from '../../src/client/client.js';
import { eventually } from '../support/eventually.js';
import { KIND, TestProgram, text, textOf } from '../support/program.js';
import { client, type Role, startGateway, startNode, startRegistry } from '../support/roles.js';

let nodes: readonly Role[];
let gateway: Role;
let troupe: TroupeClient;

beforeAll(async () => {
  const registry = await startRegistry();
  [gateway, ...nodes] = await Promise.all([
    startGateway(registry.address),
    startNode('node-1', registry.address),
    startNode('node-2', registry.address),
  ]);
  troupe = client(gateway.address);
  await eventually(async () => expect((await troupe.nodes()).map(({ status }) => status)).toEqual([2, 2]));
}, 30_000);

const nodeOf = (id: string) => nodes.find((node) => node.id === id) as Role;
const otherThan = (id: string) => nodes.find((node) => node.id !== id) as Role;

/** A program whose grace time is longer than any test. */
async function attach(agentId: string, address: string) {
  const program = new TestProgram(address);
  const welcome = await program.hello({ agentId, capabilities: [agentId], grace: { seconds: 300n } });
  await eventually(async () => {
    for (const { address: each } of [gateway, ...nodes])
      await expect(new TestProgram(each).hello({ agentId })).rejects.toMatchObject({ reason: 'AGENT_EXISTS' });
    expect((await troupe.instances({ service: 'agent' })).map(({ id }) => id)).toContain(agentId);
  });
  return { program, welcome };
}

describe('a program that is killed and started again', () => {
  // With two nodes, the least loaded one is not that which has the agent.
  it.each(['gateway', 'node-1', 'node-2'])('is back at once in its place, through the %s', async (where) => {
    const agentId = `back-through-${where}`;
    const address = where === 'gateway' ? gateway.address : nodeOf(where).address;
    const { program, welcome } = await attach(agentId, address);
    const begun = troupe.run(agentId, 'begun');
    begun.catch(() => undefined);
    await program.envelope(KIND.task);
    program.break();
    const again = await eventually(async () => {
      const started = new TestProgram(address);
      return { program: started, welcome: await started.hello({ agentId, capabilities: [agentId] }) };
    });
    expect(again.welcome.nodeId).toBe(welcome.nodeId);
    await expect(begun).rejects.toMatchObject({
      reason: 'OUTCOME_UNKNOWN',
      message: expect.stringContaining(`agent "${agentId}" on node "${welcome.nodeId}" ended while it had the task`),
    });
    const result = troupe.run(agentId, 'next');
    const { correlationId } = await again.program.envelope(KIND.task, (each) => textOf(each) === 'next');
    again.program.batch([{ kind: KIND.result, correlationId, result: { payload: text('done') } }]);
    expect((await result).text()).toBe('done');
    await expect(new TestProgram(address).hello({ resumeToken: welcome.resumeToken })).rejects.toMatchObject({
      reason: 'UNKNOWN_SESSION',
    });
  });

  it('is told where to go by another node', async () => {
    const { program, welcome } = await attach('elsewhere', gateway.address);
    program.break();
    const refused = new TestProgram(otherThan(welcome.nodeId).address).hello({ agentId: 'elsewhere' });
    await expect(refused).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      reason: 'AGENT_EXISTS',
      message: expect.stringMatching(new RegExp(`exists on node "${welcome.nodeId}".*attaches at a gateway, or at that node`)),
      metadata: { node_id: welcome.nodeId },
      retryAfterMs: undefined,
    });
  });
});

describe('an id that stays taken', () => {
  it.each(['gateway', 'node-1', 'node-2'])('is refused without a time to try again: by the %s', async (where) => {
    const address = where === 'gateway' ? gateway.address : nodeOf(where).address;
    const agentId = `deployed-${where}`;
    await troupe.deploy({ id: agentId, kind: 'echo' }, 'node-1');
    await expect(new TestProgram(address).hello({ agentId })).rejects.toMatchObject({
      code: 'ALREADY_EXISTS',
      message: expect.stringContaining(`agent "${agentId}" exists on node "node-1"; choose another id, or undeploy it first`),
      retryAfterMs: undefined,
    });
  });
});
