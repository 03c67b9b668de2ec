import { describe, expect, it } from '@jest/globals';
import type { AgentTask, TaskContext } from '../../../src/agent/context.js';
import { type AgentOptions, defineAgent } from '../../../src/agent/define-agent.js';
import type { AgentManifest } from '../../../src/agent/manifest.js';
import { TroupeError } from '../../../src/core/errors.js';
import type { TaskId } from '../../../src/core/ids.js';
import { type PayloadInput, toPayload } from '../../../src/core/payload.js';
import type { Priority } from '../../../src/core/priority.js';
import { Activation } from '../../../src/runtime/activation.js';
import type { TaskInput, Turn } from '../../../src/runtime/turn.js';
import { outcomeOf } from '../../../src/upstream/outcome.js';
import { FakeClock, settle } from '../../support/fake-clock.js';
import { recordingLogger } from '../../support/recording-logger.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';
import { silentPost } from '../../support/silent-post.js';

type Options = Partial<AgentOptions<unknown, unknown>>;

const CANCELLED = new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled');

/** Time passes also between two lines of code. */
class RestlessClock extends FakeClock {
  private reads = 0;

  override monotonicMs(): number {
    this.reads += 1;
    return super.monotonicMs() + this.reads / 1_000;
  }
}

/** A running agent, and how to give it tasks. */
async function agentOf(options: Options = {}, sizes: Partial<AgentManifest> = {}, clock = new FakeClock()) {
  const logger = recordingLogger();
  const definition = defineAgent<unknown, unknown>({ kind: 'k', capabilities: ['c'], run: () => 'done', ...options });
  const manifest: AgentManifest = {
    id: 'a-1',
    kind: 'k',
    capabilities: ['c'],
    config: {},
    concurrency: 1,
    mailboxCapacity: 100,
    weight: 1,
    adaptiveConcurrency: false,
    metadata: {},
    ...sizes,
  };
  const activation = new Activation(definition, manifest, { nodeId: 'node-1', clock, logger, post: silentPost });
  await activation.start();
  let tasks = 0;
  const give = (withinMs = 60_000, more: Partial<TaskInput> = {}): Turn => {
    tasks += 1;
    return activation.execute({
      id: `task-${tasks}` as TaskId,
      attempt: 1,
      requiredCapabilities: [],
      labels: new Map(),
      priority: 'normal',
      payload: () => toPayload('hello'),
      deadlineMs: clock.now() + withinMs,
      trace: undefined,
      ...more,
    });
  };
  /** Gives a task and waits for its end: what it gave, or why not. */
  const outcome = async (withinMs?: number, more?: Partial<TaskInput>): Promise<unknown> => {
    try {
      const ended = give(withinMs, more).result.catch((error: unknown) => error);
      await settle();
      return await ended;
    } catch (refusal) {
      return refusal;
    }
  };
  const circuit = () => activation.status().circuit;
  return { clock, logger, activation, give, outcome, circuit };
}

/** Work that takes `ms` of the clock. */
const takes = (clock: () => FakeClock, ms: () => number) => () =>
  new Promise<PayloadInput>((resolve) => clock().after(ms(), () => resolve('done')));

/** An agent whose tasks each take 100 ms, after enough of them for an estimate. */
async function measured(sizes: Partial<AgentManifest> = {}) {
  let clock = new FakeClock();
  const agent = await agentOf(
    {
      run: takes(
        () => clock,
        () => 100,
      ),
    },
    sizes,
  );
  clock = agent.clock;
  for (let i = 0; i < 10; i++) {
    const { result } = agent.give();
    await clock.advance(100);
    await result;
  }
  await settle();
  return agent;
}

/** What `give` throws. */
function refusalOf(give: () => unknown): TroupeError {
  try {
    give();
  } catch (error) {
    if (error instanceof TroupeError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('a task that would be late', () => {
  it('is begun all the same by an agent that has a free place: tasks differ', async () => {
    const clock = new RestlessClock();
    const run = async (task: AgentTask) => {
      if (task.labels.get('slow') !== undefined) await clock.advance(1_000);
      return 'done';
    };
    const { outcome } = await agentOf({ run }, {}, clock);
    for (let n = 0; n < 20; n++) await outcome(60_000, { labels: new Map([['slow', 'yes']]) });
    expect(await outcome(5)).toEqual(toPayload('done'));
  });

  it('is refused at once, as one that has not started, saying when it would fit', async () => {
    const { activation, give } = await measured();
    for (let i = 0; i < 5; i++) give();
    // Four wait before it: 500 ms until its turn, 100 ms for itself, and a tenth to spare.
    const refusal = refusalOf(() => give(600));
    expect(refusal).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'WOULD_BE_LATE',
      metadata: { started: 'false', agent_id: 'a-1' },
      retryAfterMs: 60,
      violations: [{ field: 'agent:a-1', description: 'a wait of 500 ms' }],
    });
    expect(outcomeOf(refusal)).toBe('not_started');
    expect(activation.status()).toMatchObject({ inFlight: 1, queued: 4, refused: 1, failed: 0 });
    give(661);
    expect(activation.queued).toBe(5);
  });

  it('fits when it comes again after that time', async () => {
    const { clock, give } = await measured();
    for (let i = 0; i < 5; i++) give();
    const { retryAfterMs = 0 } = refusalOf(() => give(450));
    expect(retryAfterMs).toBe(210);
    await clock.advance(300);
    const { result } = give(450);
    await clock.advance(450);
    expect(await result).toEqual({ kind: 'text', text: 'done' });
  });

  it('waits for nobody where it is more urgent than those who wait', async () => {
    const { give } = await measured();
    for (let i = 0; i < 10; i++) give();
    expect(refusalOf(() => give(300)).reason).toBe('WOULD_BE_LATE');
    expect(() => give(300, { priority: 'high' })).not.toThrow();
  });

  it('is begun where the agent is free, however short its deadline', async () => {
    const { give, activation } = await measured();
    give(1);
    expect(activation.inFlight).toBe(1);
  });

  it('is let in while nobody knows how long tasks take', async () => {
    const { give, activation } = await agentOf({ run: () => new Promise(() => undefined) });
    give();
    for (let i = 0; i < 50; i++) give(1);
    expect(activation.queued).toBe(50);
  });

  it('tells a deadline that has passed already as what it is', async () => {
    const { clock, give } = await measured();
    give();
    const { result } = give(0);
    const rejected = expect(result).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await clock.advance(0);
    await rejected;
  });
});

describe('a full mailbox', () => {
  it('says to come back when a place is free, by how long tasks take', async () => {
    const { give } = await measured({ concurrency: 2, mailboxCapacity: 1 });
    for (let i = 0; i < 3; i++) give();
    expect(refusalOf(give)).toMatchObject({ reason: 'MAILBOX_FULL', retryAfterMs: 50 });
  });

  it('makes room for a higher priority: the youngest of the lowest is refused, as one that has not started', async () => {
    const { give, activation } = await measured({ mailboxCapacity: 3 });
    give();
    const [low, lower] = [give(60_000, { priority: 'low' }), give(60_000, { priority: 'low' })];
    const waits = give();
    give(60_000, { priority: 'critical' });
    const error = await lower.result.catch((reason: unknown) => reason);
    expect(error).toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      reason: 'SHED',
      metadata: { started: 'false', agent_id: 'a-1' },
      // One more that waits before it, and the one that is worked on, and the critical one.
      retryAfterMs: 400,
      violations: [{ field: 'agent:a-1', description: 'mailbox capacity 3' }],
    });
    expect(outcomeOf(error as TroupeError)).toBe('not_started');
    expect(activation.status()).toMatchObject({ queued: 3, refused: 1, failed: 0 });
    for (const turn of [low, waits]) expect(turn.isCalledOff).toBe(false);
    expect(refusalOf(() => give(60_000, { priority: 'low' })).reason).toBe('MAILBOX_FULL');
  });

  it('has room again as soon as a task that waits is called off, or its deadline passes', async () => {
    const { clock, give, activation } = await agentOf({ run: () => new Promise(() => undefined) }, { mailboxCapacity: 2 });
    give();
    const [first, second] = [give(), give(1_000)];
    expect(refusalOf(give).reason).toBe('MAILBOX_FULL');
    first.cancel(CANCELLED);
    await expect(first.result).rejects.toBe(CANCELLED);
    expect(activation.status()).toMatchObject({ queued: 1, failed: 1 });
    give();
    const late = expect(second.result).rejects.toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    await clock.advance(1_000);
    await late;
    expect(activation.status()).toMatchObject({ queued: 1, failed: 2 });
  });
});

describe(`three times as much as it can do (seed ${testSeed})`, () => {
  it.each([
    ['steady', 0.02, () => 1],
    ['exponential', 0.2, (random: () => number) => -Math.log(1 - random())],
  ])('leaves an agent with %s tasks busy with what somebody waits for', async (_name, mayBeLate, spread) => {
    const random = seededRandom(testSeed);
    let clock = new FakeClock();
    const agent = await agentOf(
      {
        run: takes(
          () => clock,
          () => 40 * spread(() => random.next()),
        ),
      },
      { concurrency: 4 },
    );
    clock = agent.clock;
    let [done, refused, late] = [0, 0, 0];
    // 300 tasks a second for 20 s; the agent can do 100; each caller waits for 500 ms.
    for (let ms = 0; ms < 20_000; ms += 10) {
      for (let i = 0; i < 3; i++) {
        try {
          agent.give(500).result.then(
            () => {
              done += 1;
            },
            () => {
              late += 1;
            },
          );
        } catch {
          refused += 1;
        }
      }
      await clock.advance(10);
    }
    await clock.advance(500);
    expect(done).toBeGreaterThan(0.8 * 100 * 20);
    expect(refused).toBeGreaterThan(3_000);
    expect(late).toBeLessThan(mayBeLate * done);
  });
});

describe(`three times as much as it can do, some of it urgent (seed ${testSeed})`, () => {
  it.each([
    ['steady', 0.03, () => 1],
    ['exponential', 0.06, (random: () => number) => -Math.log(1 - random())],
  ])('tasks that are overtaken, each %s, are refused and not left to their deadlines', async (_name, mayBeLate, spread) => {
    const random = seededRandom(testSeed);
    let clock = new FakeClock();
    const agent = await agentOf(
      {
        run: takes(
          () => clock,
          () => 40 * spread(() => random.next()),
        ),
      },
      { concurrency: 4, mailboxCapacity: 1_000 },
    );
    clock = agent.clock;
    const counts = { done: 0, late: 0, given: 0, low: 0, high: 0 };
    const refusedOf = (priority: Priority) => {
      if (priority === 'high' || priority === 'low') counts[priority] += 1;
    };
    // Late are those of the first second, before it is known how many overtake, and those that took long.
    // 300 tasks a second for 20 s; the agent can do 100, of which the urgent need 60; each caller waits for 1 s.
    for (let ms = 0; ms < 20_000; ms += 10) {
      for (let i = 0; i < 3; i++) {
        const chance = random.next();
        const priority = chance < 0.2 ? 'high' : chance < 0.6 ? 'normal' : 'low';
        counts.given += 1;
        try {
          agent.give(1_000, { priority }).result.then(
            () => {
              counts.done += 1;
            },
            ({ code }: TroupeError) => {
              if (code === 'DEADLINE_EXCEEDED') counts.late += 1;
              else refusedOf(priority);
            },
          );
        } catch {
          refusedOf(priority);
        }
      }
      await clock.advance(10);
    }
    await clock.advance(1_000);
    expect(counts.done).toBeGreaterThan(0.8 * 100 * 20);
    expect(counts.late).toBeLessThan(mayBeLate * counts.given);
    expect(counts.high).toBeLessThan(0.05 * 0.2 * counts.given);
    expect(counts.low).toBeGreaterThan(0.9 * 0.4 * counts.given);
  });
});

describe('adaptive concurrency', () => {
  it('works on fewer at once while more only make each of them slower, and says so', async () => {
    let clock = new FakeClock();
    let inFlight = 0;
    const agent = await agentOf(
      {
        run: async () => {
          inFlight += 1;
          await new Promise<void>((resolve) => clock.after(100 * Math.max(1, inFlight / 4), resolve));
          inFlight -= 1;
          return 'done';
        },
      },
      { concurrency: 64, mailboxCapacity: 1_000, adaptiveConcurrency: true },
    );
    clock = agent.clock;
    expect(agent.activation.concurrencyLimit).toBe(4);
    const limits: number[] = [];
    for (let i = 0; i < 400; i++) {
      while (agent.activation.queued < 100) agent.give(3_600_000).result.catch(() => undefined);
      await clock.advance(100);
      limits.push(agent.activation.status().concurrencyLimit);
    }
    const later = limits.slice(100);
    expect(Math.max(...limits)).toBeLessThanOrEqual(64);
    expect(later.reduce((sum, limit) => sum + limit, 0) / later.length).toBeLessThan(10);
    await Promise.all([agent.activation.stop(0), clock.advance(5_000)]);
  });

  it('works on as many as before when tasks come in bursts with pauses between', async () => {
    const clock = new FakeClock();
    const run = () => new Promise<string>((resolve) => clock.after(10, () => resolve('done')));
    const { activation, give } = await agentOf(
      { run },
      { concurrency: 32, mailboxCapacity: 1_000, adaptiveConcurrency: true },
      clock,
    );
    const limits: number[] = [];
    for (let burst = 0; burst < 40; burst++) {
      const results = Array.from({ length: 200 }, () => give(3_600_000).result);
      await clock.advance(1_500);
      await Promise.all(results);
      limits.push(activation.status().concurrencyLimit);
    }
    // Half, while it looks how long tasks take with less to do.
    expect(Math.min(...limits.slice(10))).toBeGreaterThanOrEqual(16);
    expect(limits.slice(10)).toContain(32);
  });

  it('is off unless it is asked for', async () => {
    expect((await agentOf({}, { concurrency: 7 })).activation.status().concurrencyLimit).toBe(7);
  });
});

const broken = () => {
  throw new Error('no model');
};

describe('the circuit of an agent', () => {
  it('opens after five failures in a row, refuses what has not started, and says until when', async () => {
    const { outcome, circuit, logger, activation, clock } = await agentOf({ run: broken });
    for (let i = 0; i < 5; i++) expect(await outcome()).toMatchObject({ reason: 'AGENT_ERROR' });
    await clock.advance(1_000);
    const refusal = (await outcome()) as TroupeError;
    expect(refusal).toMatchObject({
      code: 'UNAVAILABLE',
      reason: 'CIRCUIT_OPEN',
      message: expect.stringContaining('no model'),
      metadata: { started: 'false', agent_id: 'a-1', node_id: 'node-1' },
      retryAfterMs: 4_000,
    });
    expect(outcomeOf(refusal)).toBe('not_started');
    expect(activation.status()).toMatchObject({ failed: 5, refused: 0 });
    expect(circuit()?.counts).toEqual({ successes: 0, failures: 5, rejected: 1 });
    expect(logger.lines.find(({ event }) => event === 'circuit opened')?.fields).toMatchObject({
      agent: 'a-1',
      reason: expect.stringContaining('no model'),
      failures: 5,
      retryInMs: 5_000,
    });
  });

  it('lets one task through when its pause has passed, and closes when that succeeds', async () => {
    let works = false;
    let finish: () => void = () => undefined;
    const run = () =>
      works
        ? new Promise<string>((resolve) => {
            finish = () => resolve('done');
          })
        : broken();
    const { outcome, give, circuit, clock, logger } = await agentOf({ run }, { concurrency: 4 });
    for (let i = 0; i < 5; i++) await outcome();
    works = true;
    await clock.advance(5_000);
    const probe = give();
    expect(refusalOf(give)).toMatchObject({ reason: 'CIRCUIT_OPEN', retryAfterMs: 100 });
    finish();
    await probe.result;
    await settle();
    expect(circuit()?.state.kind).toBe('closed');
    give();
    expect(logger.lines.map(({ event }) => event).filter((event) => event.startsWith('circuit'))).toEqual([
      'circuit opened',
      'circuit half-open',
      'circuit closed',
    ]);
  });

  it('lets the next task through when the one that tried was called off', async () => {
    let works = false;
    const run = () => (works ? new Promise<string>(() => undefined) : broken());
    const { outcome, give, circuit, clock } = await agentOf({ run }, { concurrency: 4 });
    for (let i = 0; i < 5; i++) await outcome();
    works = true;
    await clock.advance(5_000);
    const probe = give();
    probe.cancel(CANCELLED);
    await expect(probe.result).rejects.toBe(CANCELLED);
    expect(circuit()?.state).toMatchObject({ kind: 'half_open', underWay: 0 });
    give();
    expect(circuit()?.state).toMatchObject({ kind: 'half_open', underWay: 1 });
  });

  it.each<[string, TroupeError]>([
    ['answers', new TroupeError('NOT_FOUND', 'NO_FILE', 'no such file')],
    ['refusals for want of room', new TroupeError('RESOURCE_EXHAUSTED', 'MODEL_BUSY', 'busy')],
  ])('does not open for %s', async (_name, error) => {
    const { outcome, circuit } = await agentOf({ run: () => Promise.reject(error) });
    for (let i = 0; i < 20; i++) await outcome();
    expect(circuit()).toMatchObject({ state: { kind: 'closed' }, consecutiveFailures: 0 });
  });

  it('does not open for tasks that their callers called off, however long those worked', async () => {
    const { give, circuit, clock } = await agentOf({ run: () => new Promise(() => undefined) }, { concurrency: 100 });
    for (let i = 0; i < 20; i++) {
      const turn = give();
      await clock.advance(2_000);
      turn.cancel(CANCELLED);
      await expect(turn.result).rejects.toBe(CANCELLED);
    }
    expect(circuit()?.counts).toEqual({ successes: 0, failures: 0, rejected: 0 });
  });

  it('opens for an agent that hangs: at the deadlines of its tasks, although they never return', async () => {
    const { outcome, circuit, clock } = await agentOf({ run: () => new Promise(() => undefined) }, { concurrency: 100 });
    for (let i = 1; i <= 5; i++) {
      const ended = outcome(1_000);
      await clock.advance(1_000);
      expect(await ended).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
      expect(circuit()?.counts.failures).toBe(i);
    }
    expect(circuit()?.state.kind).toBe('open');
  });

  it('opens for an agent that hangs with everything it may do at once, by those who waited in vain', async () => {
    const { outcome, circuit, clock } = await agentOf({ run: () => new Promise(() => undefined) }, { concurrency: 1 });
    for (let i = 1; i <= 5; i++) {
      const ended = outcome(1_000);
      await clock.advance(1_000);
      expect(await ended).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    }
    expect(circuit()?.state.kind).toBe('open');
  });

  it('does not open because callers are in a hurry, nor because tasks wait behind others', async () => {
    const { outcome, give, circuit, clock } = await agentOf({ run: () => new Promise(() => undefined) }, { concurrency: 20 });
    for (let i = 0; i < 10; i++) {
      const ended = outcome(999);
      await clock.advance(999);
      expect(await ended).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    }
    for (let i = 0; i < 10; i++) give();
    for (let i = 0; i < 10; i++) {
      const ended = outcome(2_000);
      await clock.advance(2_000);
      expect(await ended).toMatchObject({ code: 'DEADLINE_EXCEEDED', message: expect.stringContaining('waited') });
    }
    expect(circuit()?.counts.failures).toBe(0);
  });

  it('hears of a task once: at its deadline, not again when its work returns at last', async () => {
    const returns: (() => void)[] = [];
    const run = (_task: AgentTask, _ctx: TaskContext) => new Promise<string>((resolve) => returns.push(() => resolve('late')));
    const { outcome, circuit, clock, activation } = await agentOf({ run });
    const ended = outcome(5_000);
    await clock.advance(5_000);
    await ended;
    expect(circuit()?.counts).toMatchObject({ successes: 0, failures: 1 });
    for (const back of returns) back();
    await settle();
    expect(circuit()?.counts).toMatchObject({ successes: 0, failures: 1 });
    expect(activation.status()).toMatchObject({ completed: 0, failed: 1, inFlight: 0 });
  });

  it('takes a caller who calls off at the deadline for the deadline', async () => {
    const { give, circuit, clock } = await agentOf({ run: () => new Promise(() => undefined) });
    const turn = give(5_000);
    await clock.advance(4_950);
    turn.cancel(CANCELLED);
    await expect(turn.result).rejects.toBe(CANCELLED);
    expect(circuit()?.counts.failures).toBe(1);
  });

  it('sends away what waits when it opens: others may do it', async () => {
    let fail: () => void = () => undefined;
    const run = () =>
      new Promise<string>((_, reject) => {
        fail = () => reject(new Error('no model'));
      });
    const { give, activation, circuit } = await agentOf({ run }, {});
    const turns = Array.from({ length: 8 }, () => give());
    const outcomes = Promise.all(turns.map(({ result }) => result.catch(({ reason }: TroupeError) => reason)));
    for (let i = 0; i < 5; i++) {
      fail();
      await settle();
    }
    expect(await outcomes).toEqual([...Array(5).fill('AGENT_ERROR'), ...Array(3).fill('CIRCUIT_OPEN')]);
    expect(activation.status()).toMatchObject({ inFlight: 0, queued: 0, failed: 5 });
    expect(circuit()?.counts.failures).toBe(5);
  });

  it('is as its author says', async () => {
    const { outcome, circuit } = await agentOf({ run: broken, circuit: { failures: 2, openMs: 90_000 } });
    await outcome();
    await outcome();
    expect([circuit()?.state.kind, circuit()?.retryInMs()]).toEqual(['open', 90_000]);
  });

  it('says until when also where its pause is long', async () => {
    const { outcome, clock } = await agentOf({ run: broken, circuit: { failures: 1, openMs: 60_000 } });
    await outcome();
    expect(await outcome()).toMatchObject({ reason: 'CIRCUIT_OPEN', retryAfterMs: 60_000 });
    await clock.advance(59_999.5);
    expect(await outcome()).toMatchObject({ reason: 'CIRCUIT_OPEN', retryAfterMs: 1 });
  });

  it('can be switched off', async () => {
    const { outcome, circuit } = await agentOf({ run: broken, circuit: false });
    for (let i = 0; i < 20; i++) expect(await outcome()).toMatchObject({ reason: 'AGENT_ERROR' });
    expect(circuit()).toBeUndefined();
  });

  it('is not told of tasks that were refused for want of room', async () => {
    let clock = new FakeClock();
    let hangs = false;
    const run = () =>
      new Promise<string>((resolve) => {
        if (!hangs) clock.after(100, () => resolve('done'));
      });
    const agent = await agentOf({ run, circuit: { failures: 1 } });
    clock = agent.clock;
    for (let i = 0; i < 10; i++) {
      agent.give();
      await clock.advance(100);
    }
    hangs = true;
    const ended = agent.outcome(1_000);
    await clock.advance(6_000);
    expect(await ended).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
    expect(refusalOf(() => agent.give(50)).reason).toBe('WOULD_BE_LATE');
    expect(agent.circuit()?.state).toMatchObject({ kind: 'half_open', underWay: 0 });
  });
});
