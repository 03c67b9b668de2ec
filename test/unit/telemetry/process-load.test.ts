import { describe, expect, it } from '@jest/globals';
import { systemClock } from '../../../src/core/clock.js';
import { ProcessLoadSampler } from '../../../src/telemetry/process-load.js';
import { cleanUp } from '../../support/clean-up.js';
import { eventually } from '../../support/eventually.js';
import { FakeClock } from '../../support/fake-clock.js';

/** A process whose load is what the test says. */
function probed() {
  const clock = new FakeClock();
  const process = { cpuMicros: 5_000_000, delayMs: 0, open: 0 };
  const sampler = new ProcessLoadSampler(clock, () => {
    process.open += 1;
    return {
      cpuMicros: () => process.cpuMicros,
      takeDelayMs: () => process.delayMs,
      close: () => {
        process.open -= 1;
      },
    };
  });
  return { clock, process, sampler };
}

describe('ProcessLoadSampler', () => {
  it('measures once a second, and tells the same until the next time', async () => {
    const { clock, process, sampler } = probed();
    sampler.start();
    expect(sampler.current).toEqual({ eventLoopDelayMs: 0, cpuCores: 0 });
    process.cpuMicros += 500_000;
    process.delayMs = 7;
    await clock.advance(999);
    expect(sampler.current).toEqual({ eventLoopDelayMs: 0, cpuCores: 0 });
    await clock.advance(1);
    const { current } = sampler;
    expect(current).toEqual({ eventLoopDelayMs: 7, cpuCores: 0.5 });
    expect(sampler.current).toBe(current);
    process.cpuMicros += 2_000_000;
    await clock.advance(1_000);
    expect(sampler.current.cpuCores).toBe(2);
  });

  it('starts once, and leaves nothing behind when it stops', async () => {
    const { clock, process, sampler } = probed();
    sampler.start();
    sampler.start();
    expect([process.open, clock.pending]).toEqual([1, 1]);
    sampler.stop();
    sampler.stop();
    expect([process.open, clock.pending]).toEqual([0, 0]);
  });

  it('sees an event loop that is held up, and the CPU that this takes', async () => {
    const sampler = new ProcessLoadSampler(systemClock);
    cleanUp(() => sampler.stop());
    sampler.start();
    await eventually(
      () => {
        const untilMs = performance.now() + 60;
        while (performance.now() < untilMs);
        expect(sampler.current.eventLoopDelayMs).toBeGreaterThan(30);
        expect(sampler.current.cpuCores).toBeGreaterThan(0.1);
      },
      { timeoutMs: 10_000 },
    );
  });
});
