import { expect, it } from '@jest/globals';
import { TroupeError } from '../../../src/core/errors.js';
import { TaskTelemetry } from '../../../src/tasks/task-telemetry.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { FakeClock } from '../../support/fake-clock.js';

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
