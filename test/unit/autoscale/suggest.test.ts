import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { type ScalePolicy, scalePolicy } from '../../../src/autoscale/policy.js';
import { analyze, type History } from '../../../src/autoscale/report.js';
import { suggest } from '../../../src/autoscale/suggest.js';
import { historyOf, observation, SECOND, spread } from './observe.js';

const AT_ONCE = { stabiliseDownMs: 0 };

function advice(history: History, changes: Partial<ScalePolicy> = AT_ONCE) {
  return suggest(history, scalePolicy(changes)).map(({ kind, from, to, reason }) => [kind, from, to, reason]);
}

/** The same without the reason. */
function change(history: History, changes: Partial<ScalePolicy> = AT_ONCE) {
  return advice(history, changes).map((each) => each.slice(0, 3));
}

describe('a suggestion', () => {
  test('is made for each group of the newest report, and none without a report', () => {
    const { history } = analyze(observation(1, { data: [101], ai: [50] }), historyOf([0]));
    expect(suggest(history, scalePolicy())).toMatchObject([
      { group: 'ai', kind: 'keep' },
      { group: 'data', kind: 'up' },
    ]);
    expect(suggest([], scalePolicy())).toEqual([]);
  });

  test.each<[readonly (number | undefined)[], Partial<ScalePolicy>, string, number, string]>([
    [[120, 120], {}, 'up', 5, 'average 120 exceeds 100, 5 are needed for 50 each'],
    [spread(2_001, 20), {}, 'up', 41, 'average 100.1 exceeds 100, 41 are needed for 50 each'],
    [[500], { maxInstances: 4 }, 'up', 4, 'average 500 exceeds 100, 10 are needed for 50 each, but at most 4 allowed'],
    [[500, 500], { maxInstances: 2 }, 'keep', 2, 'average 500 exceeds 100, 20 are needed for 50 each, but at most 2 allowed'],
    [[500, 500, 500], { maxInstances: 2 }, 'down', 2, 'at most 2 are allowed'],
    [[50], { minInstances: 2 }, 'up', 2, 'at least 2 are wanted'],
    [[0], { minInstances: 2 }, 'up', 2, 'at least 2 are wanted'],
    [[101], { minInstances: 2 }, 'up', 3, 'average 101 exceeds 100, 3 are needed for 50 each'],
    [[40, 41], {}, 'keep', 2, 'average 40.5 is from 10 to 100'],
    [[0, 0, 0, 0, 0], {}, 'down', 3, 'average 0 is below 10'],
    [spread(199, 20), {}, 'down', 10, 'average 9.9 is below 10'],
    [[9], {}, 'keep', 1, 'average 9 is below 10, but there is only one'],
    [[0, 0, 0, 0], { minInstances: 3 }, 'down', 3, 'average 0 is below 10, but at least 3 are wanted'],
    [[0, 0, 0], { minInstances: 3 }, 'keep', 3, 'average 0 is below 10, but at least 3 are wanted'],
    [
      [39, 40],
      { scaleUpAbove: 60, scaleDownBelow: 40 },
      'keep',
      2,
      'average 39.5 is below 40, but fewer would have more than 50 each',
    ],
    [[300, undefined], {}, 'up', 6, 'average 300 exceeds 100, 6 are needed for 50 each; 1 did not answer'],
    [[150, undefined], {}, 'keep', 2, 'average 150 exceeds 100, but not certainly; 1 did not answer'],
    [[0, undefined], {}, 'keep', 2, 'average 0 is below 10, but not certainly; 1 did not answer'],
    [[undefined, undefined], {}, 'keep', 2, 'nothing known; 2 did not answer'],
  ])('for the load %j under %j: %s, %i, %s', (load, changes, kind, to, reason) => {
    expect(advice(historyOf(load), { ...AT_ONCE, ...changes })).toEqual([[kind, load.length, to, reason]]);
  });
});

describe('stabilisation', () => {
  const window = { stabiliseDownMs: 3 * SECOND };

  test('lets nothing go down before the load is known for the whole window', () => {
    expect(advice(historyOf([0, 0]), window)).toEqual([['keep', 2, 2, 'average 0 is below 10, but known for 0 s of 3 s only']]);
    expect(change(historyOf([0, 0], [0, 0], [0, 0]), window)).toEqual([['keep', 2, 2]]);
    expect(advice(historyOf([0, 0], [0, 0], [0, 0], [0, 0]), window)).toEqual([['down', 2, 1, 'average 0 is below 10']]);
  });

  test('takes the highest recommendation of the window for a down', () => {
    // Half would do now, but a moment ago 3 were.
    const history = historyOf(spread(0, 4), spread(30, 5), spread(0, 4), spread(0, 4));
    expect(advice(history, window)).toEqual([['down', 4, 3, 'average 0 is below 10, but 3 were needed within the last 3 s']]);
    expect(advice(historyOf([0, 0], [0, 0], [20, 20], [0, 0]), window)).toEqual([
      ['keep', 2, 2, 'average 0 is below 10, but 2 were needed within the last 3 s'],
    ]);
  });

  test('forgets what is older than the window', () => {
    const history = historyOf([90, 90], [0, 0], [0, 0], [0, 0], [0, 0]);
    expect(change(history, window)).toEqual([['down', 2, 1]]);
  });

  test('takes a report as holding until the next one', () => {
    const at = (second: number, load: readonly number[], before: History) =>
      analyze(observation(second, { web: load }), before).history;
    // 2.5 s ago, when the window began, the last that was known was the load of 4 s ago.
    const history = at(4, [0, 0], at(3, [0, 0], at(0, [60, 60], [])));
    expect(change(history, { stabiliseDownMs: 2_500 })).toEqual([['keep', 2, 2]]);
    expect(change(history, { stabiliseDownMs: 1_000 })).toEqual([['down', 2, 1]]);
  });

  test('halves once in a window, not with each report of it', () => {
    const idle = [8, 8, 8, 8, 4, 4, 4].map((instances) => spread(0, instances));
    expect(change(historyOf(...idle.slice(0, 4)), window)).toEqual([['down', 8, 4]]);
    expect(change(historyOf(...idle.slice(0, 5)), window)).toEqual([['keep', 4, 4]]);
    expect(change(historyOf(...idle), window)).toEqual([['keep', 4, 4]]);
    expect(change(historyOf(...idle, spread(0, 4)), window)).toEqual([['down', 4, 2]]);
  });

  test('counts for a group from when it was first seen', () => {
    const before = historyOf([50], [50], [50], [50]);
    const { history } = analyze(observation(4, { web: [50], fresh: [0, 0] }), before);
    expect(suggest(history, scalePolicy(window))).toMatchObject([
      { group: 'fresh', kind: 'keep', to: 2 },
      { group: 'web', kind: 'keep' },
    ]);
  });

  test('of ups takes the lowest recommendation, and none by default', () => {
    const policy = { stabiliseUpMs: 2 * SECOND };
    expect(change(historyOf([0], [500]))).toEqual([['up', 1, 10]]);
    expect(advice(historyOf([0], [500], [500]), policy)).toEqual([
      ['keep', 1, 1, 'average 500 exceeds 100, 10 are needed for 50 each, but not for 2 s yet'],
    ]);
    expect(advice(historyOf([150], [300], [500]), policy)).toEqual([
      ['up', 1, 3, 'average 500 exceeds 100, 10 are needed for 50 each, but not all of them for 2 s yet'],
    ]);
    expect(change(historyOf([500], [500], [500]), policy)).toEqual([['up', 1, 10]]);
  });

  test('lets the least and the most pass at once', () => {
    expect(change(historyOf([0, 0, 0]), { ...window, maxInstances: 2 })).toEqual([['down', 3, 2]]);
    expect(change(historyOf([0]), { ...window, stabiliseUpMs: 9_000, minInstances: 2 })).toEqual([['up', 1, 2]]);
  });
});

/** Policies whose thresholds are anywhere that is allowed, near to each other too. */
const policies = fc
  .record({
    target: fc.double({ min: 5, max: 200, noNaN: true }),
    above: fc.double({ min: 1.01, max: 4, noNaN: true }),
    below: fc.double({ min: 0, max: 0.99, noNaN: true }),
    minInstances: fc.integer({ min: 1, max: 8 }),
    room: fc.option(fc.nat({ max: 20 }), { nil: undefined }),
  })
  .map(({ target, above, below, minInstances, room }) =>
    scalePolicy({
      target,
      scaleUpAbove: target * above,
      scaleDownBelow: target * below,
      minInstances,
      ...(room === undefined ? {} : { maxInstances: minInstances + room }),
      stabiliseDownMs: 0,
    }),
  );
const counts = fc.integer({ min: 1, max: 40 });
const totals = fc.nat({ max: 4_000 });

/** What is suggested for a load that goes its own way, each suggestion followed at once; a report each second. */
function follow(loads: readonly number[], instances: number, policy: ScalePolicy) {
  let history: History = [];
  let current = instances;
  return loads.map((total, second) => {
    history = analyze(observation(second, { web: spread(total, current) }), history).history;
    const [suggestion] = suggest(history, policy);
    current = suggestion?.to ?? current;
    return suggestion?.kind;
  });
}

describe('whatever the policy and the load,', () => {
  test('a suggestion is never under the least, never over the most, and its kind tells its direction', () => {
    const load = fc.array(fc.option(fc.nat({ max: 1_000 }), { nil: undefined, freq: 4 }), { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(
        policies,
        fc.array(load, { minLength: 1, maxLength: 6 }),
        fc.nat({ max: 5 }),
        (policy, loads, windowSeconds) => {
          const stabilised = { ...policy, stabiliseDownMs: windowSeconds * SECOND, stabiliseUpMs: (windowSeconds % 3) * SECOND };
          for (const { kind, from, to } of suggest(historyOf(...loads), stabilised)) {
            expect(from).toBe(loads.at(-1)?.length);
            expect(to).toBeGreaterThanOrEqual(policy.minInstances);
            expect(to).toBeLessThanOrEqual(policy.maxInstances ?? Number.POSITIVE_INFINITY);
            expect(Math.sign(to - from)).toBe({ up: 1, keep: 0, down: -1 }[kind]);
          }
        },
      ),
    );
  });

  test('an up that was followed is enough; a down that was followed never calls for an up', () => {
    fc.assert(
      fc.property(policies, counts, totals, (policy, instances, total) => {
        const kinds = follow(Array(12).fill(total), instances, policy);
        // The first may bring the group within the least and the most.
        const [first, second, ...others] = kinds;
        if (first === 'up') expect(second).toBe('keep');
        if (first === 'keep') expect(second).toBe('keep');
        expect([second, ...others]).not.toContain('up');
        // Halves end: 40 instances are one after six of them.
        expect(kinds.at(-1)).toBe('keep');
      }),
    );
  });

  test('a load that swings within the window makes nothing flap: there is no up after a down', () => {
    fc.assert(
      fc.property(policies, counts, fc.array(totals, { minLength: 1, maxLength: 8 }), (policy, instances, period) => {
        const loads = Array.from({ length: 60 }, (_, second) => period[second % period.length] ?? 0);
        const kinds = follow(loads, instances, { ...policy, stabiliseDownMs: period.length * SECOND });
        // The first may bring the group within the most.
        const firstDown = kinds.indexOf('down', 1);
        if (firstDown !== -1) expect(kinds.slice(firstDown)).not.toContain('up');
      }),
    );
  });

  test('without stabilisation such a load does make it flap', () => {
    const kinds = follow([1_000, 0, 1_000, 0, 1_000], 4, scalePolicy(AT_ONCE));
    expect(kinds).toEqual(['up', 'down', 'keep', 'down', 'up']);
    expect(follow([1_000, 0, 1_000, 0, 1_000], 4, scalePolicy())).toEqual(['up', 'keep', 'keep', 'keep', 'keep']);
  });
});
