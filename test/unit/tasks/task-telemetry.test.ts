import { expect, it } from '@jest/globals';
import { type ErrorCode, TroupeError } from '../../../src/core/errors.js';
import type { Target } from '../../../src/discovery/view.js';
import { TaskTelemetry } from '../../../src/tasks/task-telemetry.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { FakeClock, settle } from '../../support/fake-clock.js';
import { agentOf } from '../discovery/instances.js';

const target = { instance: agentOf('agent-1', ['a']) } as Target;
const tried = { capabilities: ['a'], attempt: 1, hasReader: () => true };
const options = { trace: undefined };
const linesOf = (metrics: Metrics, name: string) =>
  metrics
    .collect()
    .find(({ instrument }) => instrument.name === name)
    ?.lines.map(({ labels, value }) => [...labels, value].join(' '));

/** What counts tries, and how those that end as `response` does count. */
async function outcomeOfTry(response: Promise<unknown>): Promise<readonly string[] | undefined> {
  const clock = new FakeClock();
  const metrics = new Metrics(clock);
  const telemetry = new TaskTelemetry({ metrics, clock, isOffered: () => true });
  const sent = telemetry.attempt(target, tried, options, () => ({ response, cancel: () => undefined }));
  await sent.response.catch(() => undefined);
  await settle();
  return linesOf(metrics, 'troupe.task.attempts');
}

/** Labels of what tasks took, where `a` and `b` are offered. */
function labelsAfter(...tasks: readonly (readonly [capabilities: readonly string[], error?: TroupeError])[]) {
  const clock = new FakeClock();
  const metrics = new Metrics(clock);
  const telemetry = new TaskTelemetry({ metrics, clock, isOffered: (name) => name === 'a' || name === 'b' });
  for (const [capabilities, error] of tasks) telemetry.begin(capabilities)(error);
  const family = metrics.collect().find(({ instrument }) => instrument.name === 'troupe.task.duration');
  return family?.lines.map(({ labels }) => labels.join(' '));
}

it('counts a task by its capabilities, whatever their order', () => {
  expect(labelsAfter([['a']], [['b', 'a']], [['a', 'b']], [[]])).toEqual(['a OK', 'a+b OK', 'by_id OK']);
});

it('counts what nobody offers as unknown, also where a fallback did it', () => {
  expect(labelsAfter([['made-up']], [['a', 'made-up-too']])).toEqual(['unknown OK']);
});

it('counts as unknown what no agent has together', () => {
  expect(labelsAfter([['a', 'b'], new TroupeError('NOT_FOUND', 'NO_AGENT', 'none')])).toEqual(['unknown NOT_FOUND']);
});

it('counts what an agent does not find by its capability', () => {
  expect(labelsAfter([['a'], new TroupeError('NOT_FOUND', 'NO_SUCH_FILE', 'none')])).toEqual(['a NOT_FOUND']);
});

it('counts tries by what became of them: those that were called off are no unknown ones', async () => {
  const fails = (...[code, reason, metadata]: [ErrorCode, string, Record<string, string>?]) =>
    outcomeOfTry(Promise.reject(new TroupeError(code, reason, 'no', metadata && { metadata })));
  expect(await outcomeOfTry(Promise.resolve())).toEqual(['a completed 1']);
  expect(await fails('CANCELLED', 'CANCELLED')).toEqual(['a canceled 1']);
  expect(await fails('CANCELLED', 'CONNECTION_LOST')).toEqual(['a canceled 1']);
  expect(await fails('UNAVAILABLE', 'NODE_LOST')).toEqual(['a unknown 1']);
  expect(await fails('UNKNOWN', 'AGENT_ERROR')).toEqual(['a answered 1']);
  expect(await fails('UNAVAILABLE', 'NOT_CONNECTED', { started: 'false' })).toEqual(['a not_started 1']);
  expect(await outcomeOfTry(Promise.reject(new Error('a bug')))).toEqual(['a failed 1']);
});

it('counts a streamed try that its reader left as called off', async () => {
  const clock = new FakeClock();
  const metrics = new Metrics(clock);
  const telemetry = new TaskTelemetry({ metrics, clock, isOffered: () => true });
  async function* parts() {
    yield 1;
  }
  const { response } = telemetry.streamAttempt(target, tried, options, () => ({
    response: Promise.resolve({ first: { done: false, value: 0 }, rest: parts() }),
    cancel: () => undefined,
  }));
  await (await response).rest.return?.();
  expect(linesOf(metrics, 'troupe.task.attempts')).toEqual(['a canceled 1']);
});

it('counts what the policy of the router refuses as refused, and not as a task that failed', () => {
  const clock = new FakeClock();
  const metrics = new Metrics(clock);
  const telemetry = new TaskTelemetry({ metrics, clock, isOffered: () => true });
  const limited = (metadata: Record<string, string>) => new TroupeError('RESOURCE_EXHAUSTED', 'RATE_LIMITED', 'no', { metadata });
  telemetry.begin(['a'])(limited({ started: 'false' }));
  // The agent's own.
  telemetry.begin(['a'])(limited({}));
  expect(linesOf(metrics, 'troupe.task.refused')).toEqual(['RATE_LIMITED 1']);
  const [durations] = metrics.collect().filter(({ instrument }) => instrument.name === 'troupe.task.duration');
  expect(durations?.lines).toMatchObject([{ labels: ['a', 'RESOURCE_EXHAUSTED'], value: { count: 1 } }]);
});
