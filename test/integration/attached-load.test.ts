import { readFileSync } from 'node:fs';
import { Client, credentials } from '@grpc/grpc-js';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { TroupeClient } from '../../src/client/client.js';
import { cleanUp } from '../support/clean-up.js';
import { eventually } from '../support/eventually.js';
import { KIND, TestProgram, text } from '../support/program.js';
import { client, type Role, startNode, startRegistry } from '../support/roles.js';

let node: Role;
let troupe: TroupeClient;

beforeAll(async () => {
  node = await startNode('node-1', (await startRegistry()).address);
  troupe = client(node.address);
  await eventually(() => troupe.deploy({ id: 'canary', kind: 'echo' }));
}, 30_000);

const MIB = 1024 * 1024;
const GRACE = { seconds: 30n, nanos: 0 };

/** Resident memory of the node in MiB; undefined where there is no /proc. */
function memory(): number | undefined {
  try {
    return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${node.process.pid}/status`, 'utf8'))?.[1]) / 1024;
  } catch {
    return undefined;
  }
}

/** Programs over a few connections, as those of one host are. */
function connections(count: number): Client[] {
  const clients = Array.from(
    { length: count },
    () => new Client(node.address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 }),
  );
  cleanUp(() => {
    for (const each of clients) each.close();
  });
  return clients;
}

describe('a program that does not read', () => {
  it('loses its session when 16 MiB of answers wait for it; others go on', async () => {
    const program = new TestProgram(node.address);
    await program.hello();
    program.pause();
    const big = 'x'.repeat(MIB / 2);
    for (let n = 1; n <= 60; n++)
      program.batch([
        {
          kind: KIND.task,
          correlationId: BigInt(n),
          task: { requiredCapabilities: ['echo'], payload: { content: { $case: 'json', value: { big } }, contentType: '' } },
        },
      ]);
    await eventually(async () => {
      expect((await troupe.run('echo', 1)).agentId).toBe('canary');
      // What is on its way comes first, once it reads.
      expect((await troupe.agentsOf(''))[0]).toMatchObject({ inFlight: 0, queued: 0 });
    });
    program.resume();
    expect(await program.end()).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'SLOW_CONSUMER' });
    expect(program.envelopes.length).toBeLessThan(60);
  });

  it('does not get what is broadcast meanwhile, whose senders learn of it; others do', async () => {
    const slow = new TestProgram(node.address);
    const { id: slowId } = await slow.hello({ topics: ['flood'] });
    const quick = new TestProgram(node.address);
    const { id: quickId } = await quick.hello({ topics: ['flood'] });
    slow.pause();
    const before = memory();
    let refusals = 0;
    for (let n = 0; n < 300; n++) {
      const receipts = await troupe.broadcast('flood', 'x'.repeat(256 * 1024));
      expect(receipts.get(quickId)).toBe(true);
      if (receipts.get(slowId) === false) refusals += 1;
      await eventually(() => expect(quick.envelopes).toHaveLength(n + 1));
      quick.credit(1, quick.received);
    }
    expect(refusals).toBeGreaterThan(200);
    const after = memory();
    // 75 MiB were broadcast; what is held for it is 8 MiB, the rest is garbage that is still to be collected.
    if (before !== undefined && after !== undefined) expect(after - before).toBeLessThan(64);
    slow.resume();
    await eventually(() => expect(slow.envelopes).toHaveLength(300 - refusals));
    expect(slow.ended).toBe(undefined);
  });

  it('as an agent gets what it gave credit for; the rest waits in its mailbox, which refuses', async () => {
    const program = new TestProgram(node.address);
    await program.hello({ agentId: 'lazy', capabilities: ['laziness'], concurrency: 100, mailboxCapacity: 5, credit: 5 });
    const options = { timeoutMs: 100, retry: { maxAttempts: 1 } };
    // A task and its end take two of the credit, once the router knows of the agent.
    await eventually(() => expect(troupe.run('laziness', 'x', options)).rejects.toMatchObject({ reason: 'DEADLINE_EXCEEDED' }));
    const tasks = Array.from({ length: 120 }, () => troupe.run('laziness', 'x', { timeoutMs: 3_000, retry: { maxAttempts: 1 } }));
    const outcomes = await Promise.allSettled(tasks);
    const reasons = outcomes.map((outcome) =>
      outcome.status === 'rejected' ? (outcome.reason as { reason: string }).reason : '',
    );
    expect(reasons.filter((reason) => reason === 'MAILBOX_FULL')).toHaveLength(15);
    expect(reasons.filter((reason) => reason === 'DEADLINE_EXCEEDED').length).toBeGreaterThan(90);
    expect(program.envelopes.map(({ kind }) => kind)).toEqual([KIND.task, KIND.cancel, KIND.task, KIND.task, KIND.task]);
  });
});

describe('many programs', () => {
  it('are attached at once, and all are back when all lose their streams at once', async () => {
    const count = 300;
    const first = connections(6);
    const before = memory();
    const programs = await Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const program = new TestProgram(node.address, first[index % first.length]);
        return { program, welcome: await program.hello({ grace: GRACE }) };
      }),
    );
    const after = memory();
    programs[0]?.program.batch([{ kind: KIND.send, topic: 'nobody', payload: text('x'), correlationId: 1n }], 1n);
    await programs[0]?.program.envelope(KIND.ack);
    for (const each of first) each.close();
    const again = connections(6);
    const startMs = performance.now();
    const back = await Promise.all(
      programs.map(async ({ welcome, program }, index) => {
        const second = new TestProgram(node.address, again[index % again.length]);
        return second.hello({ resumeToken: welcome.resumeToken, received: program.received });
      }),
    );
    const ms = performance.now() - startMs;
    expect(back.map(({ id }) => id)).toEqual(programs.map(({ welcome }) => welcome.id));
    expect(back.map(({ received }) => received).filter((received) => received === 1n)).toHaveLength(1);
    expect(ms).toBeLessThan(10_000);
    // The HTTP/2 stream takes most of it.
    if (before !== undefined && after !== undefined) expect(((after - before) * 1024) / count).toBeLessThan(64);
    expect((await troupe.run('echo', 1)).agentId).toBe('canary');
  });
});
