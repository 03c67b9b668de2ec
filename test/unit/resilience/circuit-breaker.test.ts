import { beforeEach, describe, expect, it } from '@jest/globals';
import { CircuitBreaker, type CircuitPolicy, type CircuitState } from '../../../src/resilience/circuit-breaker.js';
import { FakeClock } from '../../support/fake-clock.js';

const POLICY: CircuitPolicy = { failures: 3, openMs: 1_000, maxOpenMs: 3_000, probes: 1 };

let clock: FakeClock;
let seen: CircuitState['kind'][];

function breakerOf(policy: Partial<CircuitPolicy> = {}): CircuitBreaker {
  return new CircuitBreaker({ ...POLICY, ...policy }, clock, ({ kind }) => seen.push(kind));
}

function fail(breaker: CircuitBreaker, times = 1): void {
  for (let i = 0; i < times; i++) {
    expect(breaker.tryAcquire()).toBe(true);
    breaker.failed('it broke');
  }
}

beforeEach(() => {
  clock = new FakeClock();
  seen = [];
});

describe('CircuitBreaker', () => {
  it('stays closed while failures are not in a row', () => {
    const breaker = breakerOf();
    for (let i = 0; i < 10; i++) {
      fail(breaker, 2);
      expect(breaker.tryAcquire()).toBe(true);
      breaker.succeeded();
    }
    expect(breaker.state).toEqual({ kind: 'closed' });
    expect(breaker.counts).toEqual({ successes: 10, failures: 20, rejected: 0 });
    expect(seen).toEqual([]);
  });

  it('opens after so many failures in a row, refuses, and says until when and why', async () => {
    const breaker = breakerOf();
    await clock.advance(500);
    fail(breaker, 3);
    expect(breaker.state).toEqual({ kind: 'open', retryAtMs: 1_500, openings: 1 });
    expect([breaker.tryAcquire(), breaker.allows, breaker.retryInMs()]).toEqual([false, false, 1_000]);
    expect(breaker.nextTryAtMs).toBe(clock.now() + 1_000);
    expect([breaker.consecutiveFailures, breaker.lastFailure, breaker.sinceMs]).toEqual([3, 'it broke', clock.now()]);
    expect(breaker.counts.rejected).toBe(1);
  });

  it('lets one probe through when its pause has passed, and closes when that succeeds', async () => {
    const breaker = breakerOf();
    fail(breaker, 3);
    await clock.advance(999);
    expect(breaker.tryAcquire()).toBe(false);
    await clock.advance(1);
    expect([breaker.allows, breaker.nextTryAtMs]).toEqual([true, undefined]);
    expect([breaker.tryAcquire(), breaker.tryAcquire()]).toEqual([true, false]);
    breaker.succeeded();
    expect(breaker.tryAcquire()).toBe(true);
    expect(breaker.consecutiveFailures).toBe(0);
    expect(seen).toEqual(['open', 'half_open', 'closed']);
  });

  it('doubles its pause with each probe that fails, up to the longest', async () => {
    const breaker = breakerOf();
    fail(breaker, 3);
    const pauses = [breaker.retryInMs()];
    for (let i = 0; i < 3; i++) {
      await clock.advance(breaker.retryInMs());
      fail(breaker);
      pauses.push(breaker.retryInMs());
    }
    expect(pauses).toEqual([1_000, 2_000, 3_000, 3_000]);
    await clock.advance(3_000);
    expect(breaker.tryAcquire()).toBe(true);
    breaker.succeeded();
    fail(breaker, 3);
    expect(breaker.retryInMs()).toBe(1_000);
  });

  it('lets the next probe through when one ended without telling anything', async () => {
    const breaker = breakerOf({ probes: 2 });
    fail(breaker, 3);
    await clock.advance(1_000);
    expect([breaker.tryAcquire(), breaker.tryAcquire(), breaker.tryAcquire()]).toEqual([true, true, false]);
    breaker.released();
    expect([breaker.tryAcquire(), breaker.tryAcquire()]).toEqual([true, false]);
  });

  it('does not hear of calls from before its last opening: neither good, nor bad, nor nothing', async () => {
    const breaker = breakerOf();
    const before = breaker.era;
    expect([breaker.tryAcquire(), breaker.tryAcquire(), breaker.tryAcquire()]).toEqual([true, true, true]);
    fail(breaker, 3);
    breaker.succeeded(before);
    expect(breaker.state.kind).toBe('open');
    await clock.advance(1_000);
    expect(breaker.tryAcquire()).toBe(true);
    breaker.succeeded(before);
    breaker.failed('old', before);
    breaker.released(before);
    expect(breaker.state).toMatchObject({ kind: 'half_open', underWay: 1, openings: 1 });
    expect([breaker.tryAcquire(), breaker.lastFailure]).toEqual([false, 'it broke']);
    breaker.succeeded(breaker.era);
    expect(breaker.state.kind).toBe('closed');
  });

  it('lets one more through after each pause while a probe takes long', async () => {
    const breaker = breakerOf();
    fail(breaker, 3);
    await clock.advance(1_000);
    expect(breaker.tryAcquire()).toBe(true);
    await clock.advance(999);
    expect([breaker.tryAcquire(), breaker.allows]).toEqual([false, false]);
    await clock.advance(1);
    expect([breaker.allows, breaker.tryAcquire(), breaker.tryAcquire()]).toEqual([true, true, false]);
    breaker.succeeded();
    expect(breaker.state.kind).toBe('closed');
    breaker.released();
    expect(breaker.state.kind).toBe('closed');
  });

  it('keeps the last reason short', () => {
    const breaker = breakerOf();
    breaker.failed('x'.repeat(1_000));
    expect(breaker.lastFailure).toHaveLength(200);
  });
});
