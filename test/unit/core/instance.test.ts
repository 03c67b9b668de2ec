import { describe, expect, it } from '@jest/globals';
import {
  endpointText,
  type InstanceStatus,
  instanceKeyText,
  instanceScore,
  mayBecome,
  nextStatuses,
} from '../../../src/core/instance.js';

const STATUSES: readonly InstanceStatus[] = ['starting', 'up', 'degraded', 'stopping', 'down'];

/** As instance.proto says. */
const ALLOWED: Readonly<Record<InstanceStatus, readonly InstanceStatus[]>> = {
  starting: ['up', 'stopping', 'down'],
  up: ['degraded', 'stopping', 'down'],
  degraded: ['up', 'stopping', 'down'],
  stopping: ['down'],
  down: [],
};

describe('the status of an instance', () => {
  it.each(STATUSES.flatMap((from) => STATUSES.map((to) => [from, to] as const)))(
    'from %s to %s changes as the contract says',
    (from, to) => {
      expect(mayBecome(from, to)).toBe(from === to || ALLOWED[from].includes(to));
    },
  );

  it.each(STATUSES)('after %s is one of those that it may become', (from) => {
    for (const to of nextStatuses(from)) expect(mayBecome(from, to)).toBe(true);
  });
});

describe('instanceScore', () => {
  it.each([
    ['up', 10, 0, 1],
    ['up', 10, 30_000, 0.5],
    ['up', 10, 60_000, 0],
    ['up', 10, 600_000, 0],
    ['up', 10, -5_000, 1],
    ['up', 1_000, 0, 100],
    ['starting', 10, 0, 0.7],
    ['degraded', 10, 0, 0.5],
    ['stopping', 10, 0, 0.3],
    ['down', 10, 0, 0],
    ['degraded', 20, 15_000, 0.75],
  ] as const)('of %s with weight %d and a heartbeat %d ms ago is %d', (status, weight, age, score) => {
    expect(instanceScore(status, weight, age)).toBeCloseTo(score, 10);
  });
});

describe('texts', () => {
  it('are of service and id, and of host and port', () => {
    expect(instanceKeyText({ service: 'agent', id: 'a-1' })).toBe('agent/a-1');
    expect(endpointText({ host: '127.0.0.1', port: 80 })).toBe('127.0.0.1:80');
    expect(endpointText({ host: '::1', port: 80 })).toBe('[::1]:80');
  });
});
