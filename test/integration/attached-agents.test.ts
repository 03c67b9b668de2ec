import { beforeAll, describe, expect, it } from '@jest/globals';
import type { TroupeClient } from '../../src/client/client.js';
import { fromStatusMessage } from '../../src/rpc/status.js';
import { eventually } from '../support/eventually.js';
import { KIND, TestProgram, text, textOf } from '../support/program.js';
import { client, type Role, startGateway, startNode, startRegistry } from '../support/roles.js';

let node: Role;
let gateway: Role;
let troupe: TroupeClient;

beforeAll(async () => {
  const registry = await startRegistry();
  [node, gateway] = await Promise.all([startNode('node-1', registry.address), startGateway(registry.address)]);
  troupe = client(node.address);
  // The gateway knows the node.
  await eventually(() => new TestProgram(gateway.address).hello({ agentId: 'first', grace: { seconds: 0n } }));
}, 30_000);

describe.each(['node', 'gateway'] as const)('attached to a %s,', (where) => {
  const role = () => (where === 'node' ? node : gateway);
  let agents = 0;

  /** A program that is an agent, with a capability of its own. */
  async function attached(hello: Parameters<TestProgram['hello']>[0] = {}) {
    agents += 1;
    const id = `${where}-program-${agents}`;
    const program = new TestProgram(role().address);
    const welcome = await program.hello({ agentId: id, capabilities: [`${where}-can-${agents}`], ...hello });
    await eventually(async () => expect((await troupe.agentsOf('')).map(({ manifest }) => manifest?.id)).toContain(welcome.id));
    return { program, welcome, id: welcome.id, capability: `${where}-can-${agents}` };
  }

  const answer = (program: TestProgram, correlationId: bigint, value: string, sequence = 0n) =>
    program.batch([{ kind: KIND.result, correlationId, result: { payload: text(value) } }], sequence);

  describe('a program that says who it is', () => {
    it('is an agent of the cluster: registered, given tasks, and its results are the callers', async () => {
      const { program, welcome, id, capability } = await attached();
      expect(welcome).toMatchObject({ id, nodeId: 'node-1', credit: 1_000, received: 0n });
      expect(welcome.resumeToken).toMatch(/^node-1\/\d+\/[\w-]{22}$/);
      const result = troupe.run(capability, 'question', {
        labels: { colour: 'red' },
        traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`,
      });
      const task = await program.envelope(KIND.task);
      expect(task.task).toMatchObject({ agentId: id, requiredCapabilities: [capability], labels: new Map([['colour', 'red']]) });
      expect(textOf(task)).toBe('question');
      expect(task).toMatchObject({ attempt: 1, streaming: false });
      expect(task.headers.get('traceparent')).toMatch(/^00-a{32}-/);
      answer(program, task.correlationId, 'answer');
      expect(await result).toMatchObject({ agentId: id, nodeId: 'node-1' });
      expect((await result).text()).toBe('answer');
    });

    it('streams parts of its answer, and is asked for more as they are read', async () => {
      const { program, capability } = await attached();
      const events: string[] = [];
      const reading = (async () => {
        for await (const event of troupe.runStream(capability)) events.push(event.kind);
      })();
      const { correlationId, streaming, demand } = await program.envelope(KIND.task);
      expect({ streaming, demand }).toEqual({ streaming: true, demand: 16 });
      program.batch([
        { kind: KIND.chunk, correlationId, sequence: 1n, payload: text('one') },
        { kind: KIND.progress, correlationId, progress: { fraction: 0.5, note: 'half' } },
        { kind: KIND.chunk, correlationId, sequence: 2n, payload: text('two') },
      ]);
      await program.envelope(KIND.demand);
      answer(program, correlationId, 'done');
      await reading;
      expect(events).toEqual(['accepted', 'routed', 'chunk', 'progress', 'chunk', 'result']);
    });

    it('loses no part of its answer to a reader that is slower, also where it goes at once', async () => {
      const { program, id, capability } = await attached();
      const reader = new TestProgram(role().address);
      await reader.hello();
      reader.batch([
        { kind: KIND.task, correlationId: 1n, streaming: true, demand: 2, task: { requiredCapabilities: [capability] } },
        { kind: KIND.request, correlationId: 2n, streaming: true, demand: 2, to: id, payload: text('x') },
      ]);
      const [task, request] = [await program.envelope(KIND.task), await program.envelope(KIND.request)];
      const parts = Array.from({ length: 16 }, (_, n) => n + 1);
      for (const { correlationId } of [task, request])
        program.batch(parts.map((n) => ({ kind: KIND.chunk, correlationId, sequence: BigInt(n), payload: text(`${n}`) })));
      program.batch([
        { kind: KIND.result, correlationId: task.correlationId, result: { payload: text('done') } },
        { kind: KIND.response, correlationId: request.correlationId, payload: text('done') },
      ]);
      program.halfClose();
      await program.end();
      expect(reader.envelopes.filter(({ kind }) => kind === KIND.chunk)).toHaveLength(4);
      for (const correlationId of [1n, 2n]) reader.batch([{ kind: KIND.demand, correlationId, demand: 100 }]);
      await Promise.all([reader.envelope(KIND.result), reader.envelope(KIND.response)]);
      for (const correlationId of [1n, 2n])
        expect(reader.envelopes.filter((each) => each.correlationId === correlationId).map(textOf)).toEqual([
          ...parts.map(String),
          'done',
        ]);
    });

    it('learns that nobody waits any more, and is not punished for an answer that comes late', async () => {
      const { program, capability } = await attached();
      const controller = new AbortController();
      const result = troupe.run(capability, 'x', { signal: controller.signal });
      result.catch(() => undefined);
      const { correlationId } = await program.envelope(KIND.task);
      controller.abort();
      await expect(result).rejects.toMatchObject({ code: 'CANCELLED' });
      expect((await program.envelope(KIND.cancel)).correlationId).toBe(correlationId);
      answer(program, correlationId, 'too late');
      const next = troupe.run(capability, 'next');
      const task = await program.envelope(KIND.task, (each) => textOf(each) === 'next');
      answer(program, task.correlationId, 'in time');
      expect((await next).text()).toBe('in time');
    });

    it('fails a task with an error of its own, which the caller sees', async () => {
      const { program, capability } = await attached();
      const result = troupe.run(capability, 'x');
      result.catch(() => undefined);
      const { correlationId } = await program.envelope(KIND.task);
      program.batch([{ kind: KIND.error, correlationId, error: { code: 5, message: 'no such book' } }]);
      await expect(result).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'AGENT_ERROR', message: 'no such book' });
    });

    it('shares the work with others of its capability; replicas get names of their own', async () => {
      const capability = `${where}-shared`;
      const twins = await Promise.all([
        attached({ agentId: `${where}-twin`, replica: true, capabilities: [capability] }),
        attached({ agentId: `${where}-twin`, replica: true, capabilities: [capability] }),
      ]);
      const ids = twins.map(({ id }) => id);
      for (const id of ids) expect(id).toMatch(/-twin-[a-z0-9]{6}$/);
      for (const { program, id } of twins) {
        void (async () => {
          const { correlationId } = await program.envelope(KIND.task);
          answer(program, correlationId, id);
        })();
      }
      const results = await Promise.all([troupe.run(capability), troupe.run(capability)]);
      expect(results.map((result) => result.text()).sort()).toEqual([...ids].sort());
    });

    it('is kept out where its id is taken, and the one that has it goes on', async () => {
      const { program, id, capability } = await attached();
      const second = new TestProgram(role().address);
      await expect(second.hello({ agentId: id })).rejects.toMatchObject({ code: 'ALREADY_EXISTS', reason: 'AGENT_EXISTS' });
      const result = troupe.run(capability);
      const { correlationId } = await program.envelope(KIND.task);
      answer(program, correlationId, 'still here');
      expect((await result).text()).toBe('still here');
    });

    it('gets messages and requests of other agents and clients, and answers', async () => {
      const { program, id } = await attached({ concurrency: 4 });
      expect(await troupe.send(id, 'hello')).toBe(true);
      const sent = await program.envelope(KIND.send);
      expect(textOf(sent)).toBe('hello');
      program.batch([{ kind: KIND.ack, correlationId: sent.correlationId }]);
      const reply = troupe.request(id, 'how are you?');
      const { correlationId } = await program.envelope(KIND.request);
      program.batch([{ kind: KIND.response, correlationId, payload: text('well') }]);
      expect((await reply).text()).toBe('well');
    });

    it('gets what is broadcast to its topics, and changes them', async () => {
      const { program, id } = await attached({ topics: [`${where}.news.*`], concurrency: 10 });
      expect([...(await troupe.broadcast(`${where}.news.world`, 'first'))]).toEqual([[id, true]]);
      expect(await program.envelope(KIND.send)).toMatchObject({ topic: `${where}.news.world` });
      program.send({
        $case: 'subscriptions',
        value: { subscribe: [`${where}.sports`], unsubscribe: [`${where}.news.*`], id: 5n },
      });
      expect((await program.frame('subscriptions')).value.topics).toEqual([`${where}.sports`]);
      expect([...(await troupe.broadcast(`${where}.sports`, 'second'))]).toEqual([[id, true]]);
      expect([...(await troupe.broadcast(`${where}.news.world`, 'third'))]).toEqual([]);
    });

    it('that drains gets nothing new, answers what it has, and is gone', async () => {
      const { program, id, capability } = await attached();
      const result = troupe.run(capability, 'last');
      const { correlationId } = await program.envelope(KIND.task);
      program.send({ $case: 'drain', value: {} });
      await expect(
        eventually(() => expect(troupe.run(capability, 'x', { timeoutMs: 200 })).rejects.toMatchObject({ reason: 'NO_AGENT' })),
      ).resolves.toBe(undefined);
      answer(program, correlationId, 'done');
      expect((await result).text()).toBe('done');
      program.halfClose();
      expect(await program.end()).toMatchObject({ code: 'OK' });
      await eventually(async () => expect((await troupe.agentsOf('')).map(({ manifest }) => manifest?.id)).not.toContain(id));
    });

    it('that has drained and is gone does not take the one with it that has its id now', async () => {
      const { program, id, capability } = await attached();
      program.send({ $case: 'drain', value: {} });
      const successor = await eventually(async () => {
        const next = new TestProgram(role().address);
        await next.hello({ agentId: id, capabilities: [capability] });
        return next;
      });
      program.halfClose();
      expect((await program.end()).code).toBe('OK');
      const result = troupe.run(capability, 'still there?');
      answer(successor, (await successor.envelope(KIND.task)).correlationId, 'yes');
      expect((await result).text()).toBe('yes');
      expect(successor.ended).toBe(undefined);
    });

    it('is told when it is undeployed', async () => {
      const { program, id } = await attached();
      await troupe.undeploy(id, 0);
      expect(await program.end()).toMatchObject({ code: 'ABORTED', reason: 'AGENT_UNDEPLOYED' });
    });
  });

  describe('a program whose stream breaks', () => {
    it('comes back with its token: nothing that it had is lost, nothing comes twice', async () => {
      const { program, welcome, capability } = await attached({ concurrency: 2 });
      const results = [troupe.run(capability, 'one'), troupe.run(capability, 'two')];
      // Two tasks come in any order.
      const one = await program.envelope(KIND.task, (each) => textOf(each) === 'one');
      const two = await program.envelope(KIND.task, (each) => textOf(each) === 'two');
      answer(program, one.correlationId, 'first answer', 1n);
      await results[0];
      program.break();
      const again = new TestProgram(role().address);
      const back = await again.hello({ resumeToken: welcome.resumeToken, received: program.received });
      expect(back).toMatchObject({ id: welcome.id, received: 1n, resumeToken: welcome.resumeToken });
      // The same batch again, as a program does that does not look at what was received.
      answer(again, one.correlationId, 'first answer', 1n);
      answer(again, two.correlationId, 'second answer', 2n);
      expect((await Promise.all(results)).map((each) => each.text())).toEqual(['first answer', 'second answer']);
      expect(again.envelopes).toEqual([]);
    });

    it('gets again what it has not received', async () => {
      const { program, welcome, capability } = await attached();
      const result = troupe.run(capability, 'question');
      await program.envelope(KIND.task);
      program.break();
      const again = new TestProgram(role().address);
      await again.hello({ resumeToken: welcome.resumeToken, received: 0n });
      const { correlationId } = await again.envelope(KIND.task);
      answer(again, correlationId, 'answer', 1n);
      expect((await result).text()).toBe('answer');
    });

    it('gets no new tasks until it is back: they go to others', async () => {
      const { program, welcome, capability } = await attached();
      program.break();
      await eventually(() =>
        expect(troupe.run(capability, 'x', { retry: { maxAttempts: 1 }, timeoutMs: 200 })).rejects.toMatchObject({
          code: 'UNAVAILABLE',
          reason: 'AGENT_DETACHED',
        }),
      );
      const again = new TestProgram(role().address);
      await again.hello({ resumeToken: welcome.resumeToken });
      const result = troupe.run(capability, 'y');
      const { correlationId } = await again.envelope(KIND.task, (each) => textOf(each) === 'y');
      answer(again, correlationId, 'answer');
      expect((await result).text()).toBe('answer');
    });

    it('is gone when its grace time has passed; what it had begun is of unknown outcome', async () => {
      const { program, welcome, id, capability } = await attached({ grace: { seconds: 0n, nanos: 200_000_000 } });
      const result = troupe.run(capability, 'x');
      result.catch(() => undefined);
      await program.envelope(KIND.task);
      program.break();
      await expect(result).rejects.toMatchObject({ code: 'ABORTED', reason: 'OUTCOME_UNKNOWN' });
      await eventually(async () => expect((await troupe.agentsOf('')).map(({ manifest }) => manifest?.id)).not.toContain(id));
      const again = new TestProgram(role().address);
      await expect(again.hello({ resumeToken: welcome.resumeToken })).rejects.toMatchObject({
        code: 'NOT_FOUND',
        reason: 'UNKNOWN_SESSION',
      });
    });

    it('hands back requests that it has not seen as not started; those that it had end as of unknown outcome', async () => {
      const { program, id } = await attached({ concurrency: 2, credit: 1, grace: { seconds: 0n } });
      const asker = new TestProgram(role().address);
      await asker.hello();
      asker.batch([1n, 2n].map((correlationId) => ({ kind: KIND.request, correlationId, to: id, payload: text('x') })));
      await program.envelope(KIND.request);
      program.send({ $case: 'drain', value: {} });
      program.send({ $case: 'ping', value: { id: 1n } });
      await program.frame('pong');
      program.break();
      const failure = async (correlationId: bigint) => {
        const { error } = await asker.envelope(KIND.error, (each) => each.correlationId === correlationId);
        return fromStatusMessage(error as NonNullable<typeof error>);
      };
      const seen = await failure(1n);
      expect(seen).toMatchObject({ code: 'UNAVAILABLE', reason: 'AGENT_STOPPED' });
      expect(seen.metadata.started).toBe(undefined);
      expect(await failure(2n)).toMatchObject({ code: 'UNAVAILABLE', reason: 'AGENT_LEAVING', metadata: { started: 'false' } });
    });

    it('that was not waited for is gone at once', async () => {
      const { program, welcome, id } = await attached({ grace: { seconds: 0n, nanos: 0 } });
      expect(welcome.resumeToken).toBe('');
      program.break();
      await eventually(async () => expect((await troupe.agentsOf('')).map(({ manifest }) => manifest?.id)).not.toContain(id));
    });

    it('is taken over by another stream with its token, also while the first is there', async () => {
      const { program, welcome, capability } = await attached();
      const again = new TestProgram(role().address);
      await again.hello({ resumeToken: welcome.resumeToken });
      expect(await program.end()).toMatchObject({ code: 'ABORTED', reason: 'SESSION_TAKEN_OVER' });
      const result = troupe.run(capability, 'x');
      const { correlationId } = await again.envelope(KIND.task);
      answer(again, correlationId, 'answer');
      expect((await result).text()).toBe('answer');
    });

    it('cannot be taken over without the token', async () => {
      const { welcome } = await attached();
      const guess = `${welcome.resumeToken.slice(0, -1)}${welcome.resumeToken.endsWith('A') ? 'B' : 'A'}`;
      await expect(new TestProgram(role().address).hello({ resumeToken: guess })).rejects.toMatchObject({
        code: 'NOT_FOUND',
        reason: 'UNKNOWN_SESSION',
      });
    });
  });
});
