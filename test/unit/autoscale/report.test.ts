import { describe, expect, test } from '@jest/globals';
import { analyze, HISTORY_LIMIT, type History, summarise } from '../../../src/autoscale/report.js';
import { historyOf, observation } from './observe.js';

describe('a report', () => {
  test('counts instances and connections of each group, by name', () => {
    const { report } = analyze(observation(7, { data: [3, 4], ai: [10] }), []);
    expect(report).toEqual({
      timeMs: 1_007_000,
      monotonicMs: 7_000,
      groups: [
        { group: 'ai', instances: 1, silent: 0, connections: 10, average: 10 },
        { group: 'data', instances: 2, silent: 0, connections: 7, average: 3.5 },
      ],
    });
  });

  test('averages over the instances that answered, and has no average where none did', () => {
    const { report } = analyze(observation(0, { data: [6, undefined, 2], ai: [undefined] }), []);
    expect(report.groups).toEqual([
      { group: 'ai', instances: 1, silent: 1, connections: 0 },
      { group: 'data', instances: 3, silent: 1, connections: 8, average: 4 },
    ]);
  });

  test('counts an instance once in each of its groups', () => {
    const instances = [{ groups: ['a', 'b', 'a'], connections: 5 }, { groups: ['b'], connections: 1 }, { groups: [] }];
    expect(analyze({ timeMs: 0, monotonicMs: 0, instances }, []).report.groups).toMatchObject([
      { group: 'a', instances: 1, connections: 5 },
      { group: 'b', instances: 2, connections: 6 },
    ]);
  });

  test('of nothing has no groups', () => {
    expect(analyze(observation(0, {}), []).report.groups).toEqual([]);
  });
});

describe('the history', () => {
  test('ends with the newest report, and leaves the one before as it was', () => {
    const before = historyOf([1]);
    const { report, history } = analyze(observation(1, { web: [2] }), before);
    expect(history).toEqual([...before, report]);
    expect(before).toHaveLength(1);
  });

  test('keeps the last 100 reports', () => {
    let history: History = [];
    for (let second = 0; second < HISTORY_LIMIT + 5; second++) history = analyze(observation(second, {}), history).history;
    expect(HISTORY_LIMIT).toBe(100);
    expect(history).toHaveLength(100);
    expect([history[0]?.monotonicMs, history.at(-1)?.monotonicMs]).toEqual([5_000, 104_000]);
  });

  test('is summed up by group, without reports in which nobody of it answered', () => {
    const history = historyOf([2, 4], [undefined], [9]);
    expect(summarise(history)).toEqual([{ group: 'web', reports: 2, lowest: 3, mean: 6, highest: 9 }]);
    expect(summarise(historyOf([undefined]))).toEqual([]);
  });
});
