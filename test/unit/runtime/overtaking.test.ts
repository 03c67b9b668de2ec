import { describe, expect, it } from '@jest/globals';
import { Overtaking } from '../../../src/runtime/overtaking.js';

function having(tasks: number, begin: (overtaking: Overtaking, task: number) => void): Overtaking {
  const overtaking = new Overtaking();
  for (let task = 0; task < tasks; task++) begin(overtaking, task);
  return overtaking;
}

describe('Overtaking', () => {
  it('is the part of what was begun of late that is more urgent', () => {
    const overtaking = having(1_000, (each, task) => each.begun(task % 4 === 0 ? 'normal' : 'high', true));
    expect(overtaking.of('low')).toBeCloseTo(0.99);
    expect(overtaking.of('normal')).toBeCloseTo(0.75, 1);
    expect(overtaking.of('high')).toBe(0);
    expect(overtaking.of('critical')).toBe(0);
  });

  it('is nothing where nobody waits, also after a time in which somebody did', () => {
    const overtaking = having(1_000, (each) => each.begun('critical', false));
    expect(overtaking.of('low')).toBe(0);
    for (let task = 0; task < 1_000; task++) overtaking.begun('critical', true);
    for (let task = 0; task < 300; task++) overtaking.begun('low', false);
    expect(overtaking.of('low')).toBeLessThan(0.05);
  });
});
