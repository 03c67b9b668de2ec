import { describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { KIND, TestProgram, text } from '../support/program.js';
import { client, freePort, launch, startGateway, startNode, startRegistry } from '../support/roles.js';

/** What keeps a program out. */
async function outcomeOf(address: string, hello: Parameters<TestProgram['hello']>[0]) {
  const program = new TestProgram(address);
  program.hello(hello).catch(() => undefined);
  return eventually(
    () => {
      expect(program.ended).toBeDefined();
      return program.ended?.error;
    },
    { timeoutMs: 10_000 },
  );
}

/** A registry that is frozen answers nothing; one that is killed is not there. */
describe.each(['SIGKILL', 'SIGSTOP'] as const)('while the registry is away by %s', (signal) => {
  it('what is known is listed, subscriptions that are there go on, and new ones are refused', async () => {
    const registry = await startRegistry();
    const gateway = await startGateway(registry.address);
    await startNode('node-1', registry.address);
    const troupe = client(gateway.address, { timeoutMs: 5_000 });
    await eventually(() => troupe.deploy({ id: 'echo-1', kind: 'echo' }, 'node-1'));
    await expect(troupe.send('nobody', 'lost')).rejects.toMatchObject({ reason: 'UNKNOWN_AGENT' });
    const listening = new TestProgram(gateway.address);
    await listening.hello({ topics: ['news'] });

    await registry.process.kill(signal);
    expect((await troupe.nodes()).map(({ id }) => id)).toEqual(['node-1']);
    expect((await troupe.instances({ service: 'agent' })).map(({ id }) => id)).toEqual(['echo-1']);
    expect(await troupe.agentsOf('node-1')).toHaveLength(1);
    expect((await troupe.deadLetters('gateway')).letters).toMatchObject([{ to: 'nobody' }]);

    // A pattern that is registered is there for all who come.
    const more = new TestProgram(gateway.address);
    await more.hello({ topics: ['news'] });
    expect((await troupe.broadcast('news', 'x')).size).toBe(2);
    expect((await listening.envelope(KIND.send)).topic).toBe('news');
    // What is said of a registry that is not reached, as long as there is a lease and when there is none any more.
    const reason = expect.stringMatching(/^(REGISTRY_UNAVAILABLE|NOT_JOINED)$/);
    const refused = { code: 'UNAVAILABLE', reason, retryAfterMs: 1_000 };
    await expect(troupe.subscribe('other').next()).rejects.toMatchObject(refused);
    expect(await outcomeOf(gateway.address, { topics: ['other'] })).toMatchObject(refused);
    expect(await outcomeOf(gateway.address, { agentId: 'late' })).toMatchObject({ code: 'UNAVAILABLE' });
  });
});

it('a gateway that has never seen the cluster says so, and does not say that nobody is there', async () => {
  const port = await freePort();
  launch('gateway', ['--port', String(port), '--registry', `127.0.0.1:${await freePort()}`]);
  const troupe = client(`127.0.0.1:${port}`);
  const refused = { code: 'UNAVAILABLE', reason: 'NOT_JOINED', retryAfterMs: 1_000 };
  await eventually(() => expect(troupe.topics()).rejects.toMatchObject(refused), { timeoutMs: 10_000 });
  await Promise.all([
    expect(troupe.run('echo', 'x')).rejects.toMatchObject(refused),
    expect(troupe.runStream('echo', 'x').next()).rejects.toMatchObject(refused),
    expect(troupe.run([], 'x', { agentId: 'echo-1' })).rejects.toMatchObject(refused),
    expect(troupe.send('echo-1', 'x')).rejects.toMatchObject(refused),
    expect(troupe.request('echo-1', 'x')).rejects.toMatchObject(refused),
    expect(troupe.broadcast('news', 'x')).rejects.toMatchObject(refused),
    expect(troupe.subscribe('news').next()).rejects.toMatchObject(refused),
    expect(troupe.nodes()).rejects.toMatchObject({ code: 'UNAVAILABLE', reason: 'REGISTRY_UNAVAILABLE' }),
  ]);
  const program = new TestProgram(`127.0.0.1:${port}`);
  await program.hello();
  program.batch([{ kind: KIND.request, correlationId: 1n, to: 'echo-1', payload: text('x') }]);
  expect((await program.envelope(KIND.error)).error).toMatchObject({ code: 14 });
});
