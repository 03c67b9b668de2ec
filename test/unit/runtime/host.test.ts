import { describe, expect, it } from '@jest/globals';
import { type AgentOptions, defineAgent } from '../../../src/agent/define-agent.js';
import type { ManifestInput } from '../../../src/agent/manifest.js';
import type { TaskId } from '../../../src/core/ids.js';
import { toPayload } from '../../../src/core/payload.js';
import { AgentHost } from '../../../src/runtime/host.js';
import type { TaskInput } from '../../../src/runtime/turn.js';
import { silentLogger } from '../../../src/telemetry/logger.js';
import { FakeClock, settle } from '../../support/fake-clock.js';
import { silentPost } from '../../support/silent-post.js';

const clock = new FakeClock();
const echo = (options: Partial<AgentOptions<unknown, unknown>> = {}) =>
  defineAgent<unknown, unknown>({
    kind: 'echo',
    capabilities: ['echoing', 'more'],
    concurrency: 3,
    mailboxCapacity: 7,
    run: (task) => task.text(),
    ...options,
  });

function hostOf(...definitions: ReturnType<typeof echo>[]): AgentHost {
  return new AgentHost(definitions.length > 0 ? definitions : [echo()], {
    nodeId: 'node-1',
    clock,
    logger: silentLogger,
    post: silentPost,
  });
}

const manifest = (id: string, more: Partial<ManifestInput> = {}): ManifestInput => ({ id, kind: 'echo', ...more });

const task = (): TaskInput => ({
  id: 'task-1' as TaskId,
  attempt: 1,
  requiredCapabilities: [],
  labels: new Map(),
  priority: 'normal',
  payload: () => toPayload('hello'),
  deadlineMs: clock.now() + 60_000,
  trace: undefined,
});

describe('AgentHost', () => {
  it('refuses two definitions of one kind', () => {
    expect(() => hostOf(echo(), echo())).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT', reason: 'KIND_TWICE' }));
  });

  it('fills in what a manifest leaves to its kind', () => {
    expect(hostOf().complete(manifest('a'))).toMatchObject({
      capabilities: ['echoing', 'more'],
      concurrency: 3,
      mailboxCapacity: 7,
      weight: 1,
      adaptiveConcurrency: false,
      config: {},
      metadata: {},
    });
    expect(hostOf(echo({ adaptiveConcurrency: true })).complete(manifest('a')).adaptiveConcurrency).toBe(true);
    const own = { capabilities: ['own'], concurrency: 1, mailboxCapacity: 1, weight: 9, adaptiveConcurrency: true };
    expect(hostOf().complete(manifest('a', own))).toMatchObject(own);
  });

  it('does not know other kinds, and says which it knows', async () => {
    await expect(hostOf().activate(manifest('a', { kind: 'other' }))).rejects.toMatchObject({
      code: 'NOT_FOUND',
      reason: 'UNKNOWN_KIND',
      message: expect.stringContaining('echo'),
    });
  });

  it('activates, lists by id, executes and deactivates', async () => {
    const host = hostOf();
    for (const id of ['b', 'a']) await host.activate(manifest(id));
    expect(host.list().map((status) => [status.manifest.id, status.state.kind])).toEqual([
      ['a', 'running'],
      ['b', 'running'],
    ]);
    expect(await host.execute('a', task()).result).toEqual({ kind: 'text', text: 'hello' });
    await settle();
    const { status, report } = await host.deactivate('a', 100);
    expect([status.state.kind, report, host.size]).toEqual(['stopped', { finished: 0, cancelled: 0 }, 1]);
    await expect(host.deactivate('a', 100)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });

  it('refuses an id that is taken, also while that one starts', async () => {
    let go: () => void = () => undefined;
    const host = hostOf(
      echo({
        start: () =>
          new Promise<void>((resolve) => {
            go = resolve;
          }),
      }),
    );
    const first = host.activate(manifest('a'));
    await expect(host.activate(manifest('a'))).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
    expect(() => host.execute('a', task())).toThrow(expect.objectContaining({ reason: 'AGENT_NOT_RUNNING' }));
    await expect(host.deactivate('a', 0)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    go();
    await first;
    await expect(host.activate(manifest('a'))).rejects.toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  it('forgets an agent whose start failed, so that it can be deployed again', async () => {
    let fails = true;
    const host = hostOf(
      echo({
        start: () => {
          if (fails) throw new Error('no');
        },
      }),
    );
    await expect(host.activate(manifest('a'))).rejects.toMatchObject({ reason: 'AGENT_START_FAILED' });
    expect(host.size).toBe(0);
    fails = false;
    await host.activate(manifest('a'));
    expect(host.size).toBe(1);
  });

  it('says of an agent that is not here that the task has not started', () => {
    expect(() => hostOf().execute('none', task())).toThrow(
      expect.objectContaining({ code: 'NOT_FOUND', reason: 'UNKNOWN_AGENT', metadata: { started: 'false', agent_id: 'none' } }),
    );
  });

  it('sums up what its agents have to do', async () => {
    const host = hostOf(echo({ run: () => new Promise(() => undefined), concurrency: 1 }));
    for (const id of ['a', 'b']) {
      await host.activate(manifest(id));
      for (let i = 0; i < 3; i++) host.execute(id, task()).result.catch(() => undefined);
    }
    expect(host.totals()).toEqual({ inFlight: 2, queued: 4 });
    const stopped = host.stopAll(0);
    await clock.advance(0);
    await clock.advance(1_000);
    expect(await stopped).toEqual({ finished: 0, cancelled: 6 });
  });

  it('takes nothing new while it drains, and finishes what it has', async () => {
    let finish: (result: string) => void = () => undefined;
    const host = hostOf(
      echo({
        run: () =>
          new Promise<string>((resolve) => {
            finish = resolve;
          }),
      }),
    );
    await host.activate(manifest('a'));
    const turn = host.execute('a', task());
    host.beginDrain();
    expect(host.isDraining).toBe(true);
    expect(() => host.execute('a', task())).toThrow(
      expect.objectContaining({ code: 'UNAVAILABLE', reason: 'NODE_DRAINING', metadata: { started: 'false', agent_id: 'a' } }),
    );
    await expect(host.activate(manifest('b'))).rejects.toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'NODE_DRAINING' });
    const stopped = host.stopAll(10_000);
    await settle();
    finish('done');
    expect(await stopped).toEqual({ finished: 1, cancelled: 0 });
    expect(await turn.result).toEqual({ kind: 'text', text: 'done' });
    expect(host.size).toBe(0);
  });

  it('leaves no agent alive that was just starting when all were stopped', async () => {
    let go: () => void = () => undefined;
    let stops = 0;
    const host = hostOf(
      echo({
        start: () =>
          new Promise<void>((resolve) => {
            go = resolve;
          }),
        stop: () => {
          stops += 1;
        },
      }),
    );
    const activated = host.activate(manifest('a'));
    const rejected = expect(activated).rejects.toMatchObject({ reason: 'AGENT_START_FAILED' });
    const stopped = host.stopAll(10_000);
    await settle();
    go();
    await rejected;
    await stopped;
    expect([stops, host.size]).toEqual([1, 0]);
  });
});
