import { describe, expect, it } from '@jest/globals';
import { WatchPulse } from '../../../src/store/watch-pulse.js';
import { FakeClock } from '../../support/fake-clock.js';

function setUp() {
  const clock = new FakeClock();
  const seen = { probes: 0, silences: 0 };
  const pulse = new WatchPulse(clock, {
    probe: () => {
      seen.probes += 1;
    },
    onSilence: () => {
      seen.silences += 1;
    },
  });
  return { clock, pulse, seen };
}

const never = new Promise<never>(() => undefined);

describe('WatchPulse', () => {
  it('probes at once when there is nothing to catch up, then each second', async () => {
    const { clock, pulse, seen } = setUp();
    pulse.start({ caughtUp: true });
    expect(seen.probes).toBe(1);
    for (let second = 1; second <= 5; second++) {
      expect(pulse.onAnswer()).toBe(true);
      await clock.advance(1_000);
      // The first two come sooner: until the first answer it asks more often.
      expect(seen.probes).toBeGreaterThanOrEqual(second);
      expect(seen.probes).toBeLessThanOrEqual(second + 2);
    }
    pulse.stop();
    expect(clock.pending).toBe(0);
  });

  it('does not believe an answer during a catch-up, until a second was quiet', async () => {
    const { clock, pulse } = setUp();
    pulse.start({ caughtUp: false });
    expect(pulse.onAnswer()).toBe(false);
    await clock.advance(900);
    pulse.onEvents({ caughtUp: false });
    for (let ms = 0; ms < 1_000; ms += 250) {
      await clock.advance(250);
      expect(pulse.onAnswer()).toBe(ms >= 1_000);
    }
    await clock.advance(250);
    expect(pulse.onAnswer()).toBe(true);
    pulse.stop();
  });

  it('believes an answer after events that are newer than the watch', async () => {
    const { clock, pulse } = setUp();
    pulse.start({ caughtUp: false });
    pulse.onEvents({ caughtUp: true });
    await clock.advance(250);
    expect(pulse.onAnswer()).toBe(true);
    pulse.stop();
  });

  it('notices after 3 s that nothing comes', async () => {
    const { clock, pulse, seen } = setUp();
    pulse.start({ caughtUp: true });
    void pulse.awaiting(never);
    await clock.advance(2_900);
    expect(seen.silences).toBe(0);
    await clock.advance(1_100);
    expect(seen.silences).toBe(1);
    expect(pulse.silent).toBe(true);
    expect(clock.pending).toBe(0);
  });

  it('notices silence also before the watch is created', async () => {
    const { clock, pulse, seen } = setUp();
    void pulse.awaiting(never);
    await clock.advance(4_000);
    expect(seen).toEqual({ probes: 0, silences: 1 });
  });

  it('does not take a slow reader for silence, nor an answer that lay unread for news', async () => {
    const { clock, pulse, seen } = setUp();
    pulse.start({ caughtUp: true });
    await clock.advance(60_000);
    expect(seen).toEqual({ probes: 1, silences: 0 });
    expect(pulse.onAnswer()).toBe(false);
    pulse.stop();
  });

  it('does not take its own standstill for silence', async () => {
    const { clock, seen } = setUp();
    let stoodStillMs = 0;
    const stopped = { now: () => 0, monotonicMs: () => clock.monotonicMs() + stoodStillMs, after: clock.after.bind(clock) };
    const pulse = new WatchPulse(stopped, { probe: () => undefined, onSilence: () => (seen.silences += 1) });
    void pulse.awaiting(never);
    stoodStillMs = 30_000;
    await clock.advance(1_000);
    expect(seen.silences).toBe(0);
    await clock.advance(4_000);
    expect(seen.silences).toBe(1);
  });
});
