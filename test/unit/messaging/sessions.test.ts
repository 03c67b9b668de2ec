import { describe, expect, it } from '@jest/globals';
import type { AnyAgentDefinition } from '../../../src/agent/define-agent.js';
import { TroupeError } from '../../../src/core/errors.js';
import { type RoutedTask, RoutedTaskResult } from '../../../src/gen/troupe/internal/v1/routed.js';
import { EnvelopeKind } from '../../../src/gen/troupe/v1/envelope.js';
import { Batch, ConnectRequest, ConnectResponse, Hello } from '../../../src/gen/troupe/v1/messaging.js';
import type { AgentPort } from '../../../src/messaging/agent-port.js';
import type { Messages } from '../../../src/messaging/messages.js';
import { Sessions } from '../../../src/messaging/sessions.js';
import type { ByteStreamListener, ListenedStream } from '../../../src/rpc/byte-stream.js';
import type { Call } from '../../../src/rpc/call.js';
import { FakeClock, settle } from '../../support/fake-clock.js';
import { seededRandom } from '../../support/seeded-random.js';

type Frame = NonNullable<ConnectResponse['frame']>;

/** A stream in memory, and the program at its other end. */
class FakeStream implements ListenedStream {
  readonly peer = 'memory';
  readonly frames: Frame[] = [];
  outcome: 'open' | 'ended' | TroupeError = 'open';
  /** Whether what is written leaves. */
  isReading = true;
  listener: ByteStreamListener = { message: () => undefined, ended: () => undefined, lost: () => undefined };

  write(bytes: Buffer, written: () => void): void {
    const { frame } = ConnectResponse.decode(bytes);
    if (frame !== undefined) this.frames.push(frame);
    if (this.isReading) setImmediate(written);
  }
  end(): void {
    this.outcome = 'ended';
  }
  fail(error: TroupeError): void {
    this.outcome = error;
  }
  pause(): void {}
  resume(): void {}

  say(frame: NonNullable<ConnectRequest['frame']>): void {
    this.listener.message(Buffer.from(ConnectRequest.encode({ frame }).finish()));
  }
  batch(envelopes: object[], sequence = 0n): void {
    this.say({ $case: 'batch', value: Batch.fromPartial({ envelopes, sequence }) });
  }
  of<C extends Frame['$case']>(kind: C): Extract<Frame, { $case: C }>['value'][] {
    return this.frames.flatMap((frame) => (frame.$case === kind ? [frame.value as never] : []));
  }
  get envelopes() {
    return this.of('batch').flatMap(({ envelopes }) => envelopes);
  }
}

/** Agents that are attached and never get anything. */
class FakeAgents implements AgentPort {
  mayAttach: Promise<void> = Promise.resolve();
  readonly attached = new Map<
    string,
    { readonly definition: AnyAgentDefinition; readonly refusal: () => TroupeError | undefined }
  >();

  async attach(definition: AnyAgentDefinition, { id }: { readonly id: string }, refusal: () => TroupeError | undefined) {
    await this.mayAttach;
    const agent = { definition, refusal };
    this.attached.set(id, agent);
    return async () => {
      if (this.attached.get(id) === agent) this.attached.delete(id);
    };
  }
}

function world() {
  const clock = new FakeClock();
  const agents = new FakeAgents();
  const tasks: { readonly task: RoutedTask | undefined; readonly call: Call; finish(result?: RoutedTaskResult): void }[] = [];
  let secrets = 0;
  const messages = {
    nodeId: 'node-1',
    subscribe: async (pattern: string) => {
      if (pattern === 'away') throw new TroupeError('UNAVAILABLE', 'UNAVAILABLE', 'the registry is away');
      return { pattern, cancel: () => undefined };
    },
  } as unknown as Messages;
  const sessions = new Sessions({
    nodeId: 'node-1',
    tasks: {
      run: (task, call) => new Promise((resolve) => tasks.push({ task, call, finish: resolve })),
      stream: () => {
        throw new Error('not streamed here');
      },
    },
    messages,
    agents,
    clock,
    now: () => clock.now(),
    random: seededRandom(1),
    secret: () => Buffer.alloc(16, ++secrets),
  });
  const attach = async (hello: Parameters<typeof Hello.fromPartial>[0] = {}) => {
    const stream = new FakeStream();
    await sessions.open(Hello.fromPartial(hello), stream);
    await flushed();
    const [welcome] = stream.of('welcome');
    if (welcome === undefined) throw new Error('it was not welcome');
    return { stream, welcome };
  };
  return { clock, agents, sessions, attach, tasks };
}

/** What leaves at the end of a turn of the event loop has left, the next frame after the one before. */
async function flushed(): Promise<void> {
  for (let turns = 0; turns < 8; turns++) await settle();
}

const task = (correlationId: bigint) => ({
  kind: EnvelopeKind.ENVELOPE_KIND_TASK,
  correlationId,
  task: { requiredCapabilities: ['x'] },
});

const UNAVAILABLE = 14;
const SENT = { kind: EnvelopeKind.ENVELOPE_KIND_SEND, to: 'somebody' };
const QUESTION = {
  kind: 'request' as const,
  id: '',
  from: 'asker',
  topic: '',
  headers: new Map<string, string>(),
  payload: { kind: 'empty' as const },
  json: () => null as never,
  text: () => '',
};

describe('Sessions', () => {
  it('ask a silent program for a sign of life after 15 s, and give its stream up after 30 s', async () => {
    const { clock, attach, sessions } = world();
    const { stream } = await attach({ grace: { seconds: 5n } });
    await clock.advance(14_000);
    expect(stream.of('ping')).toHaveLength(0);
    await clock.advance(6_000);
    await flushed();
    expect(stream.of('ping')).toHaveLength(1);
    stream.say({ $case: 'pong', value: { id: 0n } });
    await clock.advance(25_000);
    await flushed();
    expect(stream.of('ping')).toHaveLength(2);
    expect(stream.outcome).toBe('open');
    await clock.advance(9_000);
    expect(stream.outcome).toMatchObject({ code: 'UNAVAILABLE', reason: 'SESSION_SILENT' });
    expect(sessions.size).toBe(1);
    await clock.advance(1_000);
    expect(sessions.size).toBe(0);
    expect(clock.pending).toBe(0);
  });

  it('do not ask a program that has ended its side: it gets what it waits for, however long that takes', async () => {
    const { clock, attach, tasks } = world();
    const { stream } = await attach();
    stream.batch([task(1n)]);
    stream.listener.ended();
    await clock.advance(60_000);
    expect(stream.outcome).toBe('open');
    tasks[0]?.finish();
    await flushed();
    expect(stream.envelopes.map(({ correlationId }) => correlationId)).toEqual([1n]);
    expect(stream.outcome).toBe('ended');
  });

  it('leave nothing of a program that went while it came', async () => {
    const { attach, sessions, agents } = world();
    let go: () => void = () => undefined;
    agents.mayAttach = new Promise((resolve) => {
      go = resolve;
    });
    const stream = new FakeStream();
    const opened = sessions.open(Hello.fromPartial({ agentId: 'a', topics: ['x'] }), stream).catch((error: TroupeError) => error);
    stream.listener.lost();
    go();
    // Its agent has not started here: it cannot subscribe.
    expect(await opened).toMatchObject({ reason: 'AGENT_STOPPED' });
    expect({ agents: agents.attached.size, sessions: sessions.size }).toEqual({ agents: 0, sessions: 0 });
    await attach({ agentId: 'a' });
  });

  it('say what a program is subscribed to where a change could not be made, and go on', async () => {
    const { attach } = world();
    const { stream } = await attach({ topics: ['here'] });
    stream.say({ $case: 'subscriptions', value: { subscribe: ['away', 'there'], unsubscribe: [], id: 5n } });
    await flushed();
    expect(stream.of('subscriptions')).toEqual([{ topics: ['here', 'there'], id: 5n }]);
    expect(stream.outcome).toBe('open');
  });

  it('wait for a program until its grace time has passed, and not again once it is back', async () => {
    const { clock, attach, sessions, agents } = world();
    const { stream, welcome } = await attach({ agentId: 'a', capabilities: ['x'], grace: { seconds: 10n } });
    expect(agents.attached.get('a')?.refusal()).toBe(undefined);
    stream.listener.lost();
    expect(agents.attached.get('a')?.refusal()).toMatchObject({ reason: 'AGENT_DETACHED', metadata: { started: 'false' } });
    await clock.advance(9_999);
    const { stream: second } = await attach({ resumeToken: welcome.resumeToken });
    expect(agents.attached.get('a')?.refusal()).toBe(undefined);
    await clock.advance(10_000);
    expect(sessions.size).toBe(1);
    second.listener.lost();
    await clock.advance(10_000);
    expect(sessions.size).toBe(0);
    expect(agents.attached.size).toBe(0);
  });

  it('hear nothing more from a stream that was taken over', async () => {
    const { attach, sessions, tasks } = world();
    const { stream, welcome } = await attach();
    await attach({ resumeToken: welcome.resumeToken });
    expect(stream.outcome).toMatchObject({ reason: 'SESSION_TAKEN_OVER' });
    stream.batch([task(1n)]);
    stream.listener.lost();
    expect(tasks).toHaveLength(0);
    expect(sessions.size).toBe(1);
  });

  it('go on with what a program asked for while it is away, and end that when it does not come back', async () => {
    const { clock, attach, tasks } = world();
    const { stream, welcome } = await attach({ grace: { seconds: 10n } });
    stream.batch([task(1n), task(2n)], 1n);
    stream.listener.lost();
    tasks[0]?.finish();
    await flushed();
    const { stream: second, welcome: back } = await attach({ resumeToken: welcome.resumeToken });
    expect(back.received).toBe(1n);
    expect(second.envelopes.map(({ correlationId }) => correlationId)).toEqual([1n]);
    expect(tasks[1]?.call.cancelled).toBe(false);
    second.listener.lost();
    await clock.advance(10_000);
    expect(tasks[1]?.call.cancelled).toBe(true);
  });

  it('take a batch that comes again once', async () => {
    const { attach, tasks } = world();
    const { stream, welcome } = await attach();
    stream.batch([task(1n)], 1n);
    const { stream: second } = await attach({ resumeToken: welcome.resumeToken });
    second.batch([task(1n)], 1n);
    second.batch([task(2n)], 2n);
    expect(tasks).toHaveLength(2);
    expect(second.outcome).toBe('open');
  });

  it('write one frame after the other: what comes meanwhile goes together', async () => {
    const { attach, tasks } = world();
    const { stream } = await attach();
    stream.isReading = false;
    stream.batch([task(1n), task(2n), task(3n)]);
    tasks[0]?.finish();
    await flushed();
    tasks[1]?.finish();
    tasks[2]?.finish();
    await flushed();
    expect(stream.of('batch').map(({ envelopes }) => envelopes.length)).toEqual([1]);
  });

  it('tell programs that the process will end, take no new ones, and let those come back that are here', async () => {
    const { attach, sessions } = world();
    const { stream, welcome } = await attach();
    sessions.drain();
    await flushed();
    expect(stream.of('drain')).toHaveLength(1);
    await expect(attach()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'NODE_DRAINING' });
    const { stream: second } = await attach({ resumeToken: welcome.resumeToken });
    expect(second.of('drain')).toHaveLength(1);
    sessions.close();
    expect(second.outcome).toMatchObject({ code: 'UNAVAILABLE', reason: 'NODE_ENDED' });
    expect(sessions.size).toBe(0);
  });

  it('serve what a program asked for before it knew that the process will end, and refuse what it asks for after that', async () => {
    const { attach, sessions, tasks, clock } = world();
    const { stream } = await attach();
    stream.batch([task(1n)]);
    sessions.drain();
    stream.batch([task(2n)]);
    await flushed();
    const [ping] = stream.of('ping');
    stream.say({ $case: 'pong', value: { id: ping?.id ?? 0n } });
    stream.batch([task(3n), { ...SENT, correlationId: 4n }]);
    await flushed();
    expect(tasks).toHaveLength(2);
    expect(stream.envelopes.map(({ correlationId, kind, error }) => [correlationId, kind, error?.code])).toEqual([
      [3n, EnvelopeKind.ENVELOPE_KIND_ERROR, UNAVAILABLE],
      [4n, EnvelopeKind.ENVELOPE_KIND_ACK, UNAVAILABLE],
    ]);
    let isQuiet = false;
    const quiet = sessions.quiet(10_000).then(() => {
      isQuiet = true;
    });
    await clock.advance(5_000);
    expect(isQuiet).toBe(false);
    for (const each of tasks) each.finish(RoutedTaskResult.fromPartial({}));
    await flushed();
    await clock.advance(50);
    await quiet;
    expect(stream.envelopes.slice(2).map(({ correlationId }) => correlationId)).toEqual([1n, 2n]);
    sessions.close();
    expect(stream.outcome).toMatchObject({ code: 'UNAVAILABLE', reason: 'NODE_ENDED' });
  });

  it('do not take the answer to a sign of life for word that a program knows of the drain', async () => {
    const { attach, sessions, tasks, clock } = world();
    const { stream } = await attach();
    await clock.advance(15_000);
    await flushed();
    const [probe] = stream.of('ping');
    sessions.drain();
    stream.say({ $case: 'pong', value: { id: probe?.id ?? 0n } });
    stream.batch([task(1n)]);
    expect(tasks).toHaveLength(1);
  });

  it('let an agent that knows of the drain ask for what its work needs, until that is done', async () => {
    const { attach, sessions, tasks, agents } = world();
    const { stream } = await attach({ agentId: 'helper', capabilities: ['helping'] });
    const answer = agents.attached.get('helper')?.definition.receive?.(QUESTION, { traceparent: undefined } as never);
    sessions.drain();
    await flushed();
    stream.say({ $case: 'pong', value: { id: stream.of('ping')[0]?.id ?? 0n } });
    stream.batch([task(1n)]);
    expect(tasks).toHaveLength(1);
    stream.batch([
      { kind: EnvelopeKind.ENVELOPE_KIND_RESPONSE, correlationId: stream.envelopes[0]?.correlationId ?? 0n },
      task(2n),
    ]);
    await answer;
    await flushed();
    expect(tasks).toHaveLength(1);
    expect(stream.envelopes.at(-1)).toMatchObject({ correlationId: 2n, error: { code: UNAVAILABLE } });
  });

  it('do not tell by the time it takes whether a token is nearly right', async () => {
    const { attach } = world();
    const { welcome } = await attach();
    for (const token of ['', 'x', `${welcome.resumeToken}x`, welcome.resumeToken.slice(0, -1), 'node-1/1/x', 'node-1/9/x'].slice(
      1,
    ))
      await expect(attach({ resumeToken: token })).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'UNKNOWN_SESSION' });
  });

  it('keep the session of a program that says what it cannot have received', async () => {
    const { attach } = world();
    const { stream, welcome } = await attach();
    await expect(attach({ resumeToken: welcome.resumeToken, received: 5n })).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(stream.outcome).toBe('open');
  });

  it('end a program that reads, but does not say what it has received, after 30 s', async () => {
    const { clock, attach, tasks } = world();
    const { stream } = await attach({ credit: 1_000 });
    stream.batch(Array.from({ length: 12 }, (_, n) => task(BigInt(n + 1))));
    const payload = Buffer.concat([Buffer.from([0x1a, 0x80, 0x80, 0x40]), Buffer.alloc(1024 * 1024)]);
    for (const each of tasks) each.finish(RoutedTaskResult.fromPartial({ payload }));
    await flushed();
    await flushed();
    expect(stream.of('batch')).toHaveLength(8);
    const heartbeat = () => stream.say({ $case: 'ping', value: { id: 1n } });
    for (let seconds = 0; seconds < 25; seconds += 5) {
      heartbeat();
      await clock.advance(5_000);
    }
    expect(stream.outcome).toBe('open');
    heartbeat();
    await clock.advance(5_000);
    expect(stream.outcome).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'NOT_ACKNOWLEDGED' });
  });

  it('end a program that floods them with what they must answer and does not read', async () => {
    const { attach } = world();
    const { stream } = await attach();
    stream.isReading = false;
    for (let n = 0n; n < 1_100n; n++) stream.say({ $case: 'ping', value: { id: n } });
    expect(stream.outcome).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'SLOW_CONSUMER' });
  });
});
