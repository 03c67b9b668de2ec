import { describe, expect, it } from '@jest/globals';
import { CircuitState, CircuitStatus } from '../../../../src/gen/troupe/v1/health.js';
import { CircuitBreaker } from '../../../../src/resilience/circuit-breaker.js';
import { circuitStatusToMessage, notableCircuits } from '../../../../src/rpc/codec/circuit.js';
import { FakeClock } from '../../../support/fake-clock.js';

describe('circuitStatusToMessage', () => {
  it('tells how a circuit stands, since when, until when and why', async () => {
    const clock = new FakeClock();
    const since = new Date(clock.now());
    const breaker = new CircuitBreaker({ failures: 2, openMs: 1_000, maxOpenMs: 1_000, probes: 1 }, clock);
    expect(circuitStatusToMessage('agent', 'a-1', breaker)).toEqual({
      service: 'agent',
      id: 'a-1',
      state: CircuitState.CIRCUIT_STATE_CLOSED,
      consecutiveFailures: 0,
      successes: 0n,
      failures: 0n,
      rejected: 0n,
      openings: 0,
      since,
      nextTryAt: undefined,
      lastFailure: '',
    });
    breaker.failed('one');
    breaker.failed('two');
    breaker.tryAcquire();
    expect(circuitStatusToMessage('agent', 'a-1', breaker)).toMatchObject({
      state: CircuitState.CIRCUIT_STATE_OPEN,
      consecutiveFailures: 2,
      failures: 2n,
      rejected: 1n,
      openings: 1,
      nextTryAt: new Date(clock.now() + 1_000),
      lastFailure: 'two',
    });
    await clock.advance(1_000);
    breaker.tryAcquire();
    expect(circuitStatusToMessage('agent', 'a-1', breaker)).toMatchObject({
      state: CircuitState.CIRCUIT_STATE_HALF_OPEN,
      openings: 1,
      since: new Date(clock.now()),
      nextTryAt: undefined,
    });
  });
});

describe('notableCircuits', () => {
  const circuit = (id: string, state: CircuitState, failures = 0n) => CircuitStatus.fromPartial({ id, state, failures });

  it('gives those that are not closed, then those that have seen a failure', () => {
    const { CIRCUIT_STATE_CLOSED: closed, CIRCUIT_STATE_OPEN: open, CIRCUIT_STATE_HALF_OPEN: half } = CircuitState;
    const all = [circuit('a', closed), circuit('b', closed, 3n), circuit('c', open, 5n), circuit('d', half, 9n)];
    expect(notableCircuits(all).map(({ id }) => id)).toEqual(['c', 'd', 'b']);
  });

  it('gives at most 1,000', () => {
    const all = Array.from({ length: 2_000 }, (_, i) => circuit(`c${i}`, CircuitState.CIRCUIT_STATE_OPEN));
    expect(notableCircuits(all)).toHaveLength(1_000);
  });
});
