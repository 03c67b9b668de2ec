import { beforeEach, describe, expect, it } from '@jest/globals';
import { DEFAULT_RETRY_BUDGET, RetryBudget, type RetryBudgetPolicy } from '../../../src/resilience/retry-budget.js';
import { FakeClock } from '../../support/fake-clock.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';

let clock: FakeClock;

beforeEach(() => {
  clock = new FakeClock();
});

const budgetOf = (policy: Partial<RetryBudgetPolicy> = {}) => new RetryBudget({ ...DEFAULT_RETRY_BUDGET, ...policy }, clock);

function withdrawAll(budget: RetryBudget): number {
  let retries = 0;
  while (budget.tryWithdraw()) retries += 1;
  return retries;
}

describe('RetryBudget', () => {
  it('has a reserve for quiet callers, which comes back after the window', async () => {
    const budget = budgetOf();
    expect(withdrawAll(budget)).toBe(100);
    await clock.advance(9_999);
    expect(withdrawAll(budget)).toBe(0);
    await clock.advance(1);
    expect(withdrawAll(budget)).toBe(100);
  });

  it('grants a retry for each five first tries', () => {
    const budget = budgetOf({ minPerSecond: 0 });
    for (let i = 0; i < 4; i++) budget.deposit();
    expect(budget.tryWithdraw()).toBe(false);
    budget.deposit();
    expect([budget.tryWithdraw(), budget.tryWithdraw()]).toEqual([true, false]);
    for (let i = 0; i < 1_000; i++) budget.deposit();
    expect(withdrawAll(budget)).toBe(200);
  });

  it('forgets first tries after the window', async () => {
    const budget = budgetOf({ minPerSecond: 0 });
    for (let i = 0; i < 100; i++) budget.deposit();
    await clock.advance(5_000);
    for (let i = 0; i < 50; i++) budget.deposit();
    expect(budget.balance).toBe(30);
    await clock.advance(5_000);
    expect(budget.balance).toBe(10);
    await clock.advance(3_600_000);
    expect([budget.balance, withdrawAll(budget)]).toEqual([0, 0]);
  });

  it.each([0.5, 0.9, 1])(
    `keeps amplification at 1.2 and the reserve with %d errors and endless retries (seed ${testSeed})`,
    async (errors) => {
      const random = seededRandom(testSeed);
      const budget = budgetOf();
      const seconds = 60;
      let first = 0;
      let sent = 0;
      for (let ms = 0; ms < seconds * 1_000; ms += 10) {
        for (let i = 0; i < 10; i++) {
          first += 1;
          budget.deposit();
          sent += 1;
          while (random.next() < errors && budget.tryWithdraw()) sent += 1;
        }
        await clock.advance(10);
      }
      const reserve = DEFAULT_RETRY_BUDGET.minPerSecond * (seconds + DEFAULT_RETRY_BUDGET.windowMs / 1_000);
      expect(sent / first).toBeLessThanOrEqual(1.2 + reserve / first);
      // The budget is there to be used, too.
      expect(sent / first).toBeGreaterThan(1.19);
    },
  );
});
