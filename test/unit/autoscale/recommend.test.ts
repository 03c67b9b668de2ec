import { describe, expect, test } from '@jest/globals';
import { scalePolicy } from '../../../src/autoscale/policy.js';
import { recommend } from '../../../src/autoscale/recommend.js';

const recommended = (instances: number, connections: number, silent = 0, policy = scalePolicy()) => {
  const { kind, instances: to } = recommend({ group: 'web', instances, silent, connections }, policy);
  return [kind, to];
};

describe('what one report speaks for', () => {
  test.each<[number, number, string, number]>([
    // At the threshold is not above it.
    [1, 100, 'between', 1],
    [1, 101, 'above', 3],
    // The article's average / 50 would be 3: fewer than there are.
    [10, 1_200, 'above', 24],
    [3, 301, 'above', 7],
    [2, 20, 'between', 2],
    [2, 19, 'below', 1],
    [3, 0, 'below', 2],
    [10, 99, 'below', 5],
    [1, 9, 'below', 1],
    [1, 0, 'below', 1],
  ])('%i instances with %i connections: %s, %i', (instances, connections, kind, to) => {
    expect(recommended(instances, connections)).toEqual([kind, to]);
  });

  test('half of the instances is too few where it would have more than the target', () => {
    const policy = scalePolicy({ scaleUpAbove: 60, target: 50, scaleDownBelow: 40 });
    // Half, 5, would have 78 each: an up again.
    expect(recommended(10, 390, 0, policy)).toEqual(['below', 8]);
    expect(recommended(2, 79, 0, policy)).toEqual(['below', 2]);
  });

  test('instances that do not answer count as idle for an up', () => {
    expect(recommended(2, 150, 1)).toEqual(['between', 2]);
    expect(recommended(2, 201, 1)).toEqual(['above', 5]);
  });

  test('instances that do not answer count as at the target for a down', () => {
    expect(recommended(2, 0, 1)).toEqual(['between', 2]);
    expect(recommended(10, 0, 1)).toEqual(['below', 5]);
    expect(recommended(3, 0, 3)).toEqual(['between', 3]);
  });
});
