import { expect, it } from '@jest/globals';
import { TroupeError } from '../../../src/core/errors.js';
import { TaskTelemetry } from '../../../src/tasks/task-telemetry.js';
import { INSTRUMENTS } from '../../../src/telemetry/instruments.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { FakeClock } from '../../support/fake-clock.js';

it('counts tasks under their capabilities, in whatever order they are named, and made-up ones as unknown', () => {
  const clock = new FakeClock();
  const metrics = new Metrics(clock);
  const telemetry = new TaskTelemetry({ metrics, clock });
  telemetry.begin(['b', 'a'])();
  telemetry.begin(['a', 'b'])();
  telemetry.begin([])();
  telemetry.begin(['made-up'])(new TroupeError('NOT_FOUND', 'NO_AGENT', 'nobody'));
  const family = metrics.collect().find(({ instrument }) => instrument === INSTRUMENTS.taskDuration);
  expect(family?.lines.map(({ labels, value }) => [...labels, typeof value === 'number' ? value : value.count])).toEqual([
    ['a+b', 'OK', 2],
    ['by_id', 'OK', 1],
    ['unknown', 'NOT_FOUND', 1],
  ]);
});
