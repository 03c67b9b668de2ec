import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { PRIORITIES, PRIORITY_RANKS, type Priority } from '../../../src/core/priority.js';
import { type Place, PriorityQueue } from '../../../src/core/priority-queue.js';

/** The same, as simply as it can be said. */
class Model {
  readonly items: { readonly item: number; readonly rank: number }[] = [];

  push(item: number, priority: Priority): void {
    this.items.push({ item, rank: PRIORITY_RANKS[priority] });
  }

  private take(index: number): number | undefined {
    return index < 0 ? undefined : this.items.splice(index, 1)[0]?.item;
  }

  shift(): number | undefined {
    const most = Math.max(...this.items.map(({ rank }) => rank));
    return this.take(this.items.findIndex(({ rank }) => rank === most));
  }

  popBelow(priority: Priority): number | undefined {
    const least = Math.min(...this.items.map(({ rank }) => rank));
    return least < PRIORITY_RANKS[priority] ? this.take(this.items.findLastIndex(({ rank }) => rank === least)) : undefined;
  }

  remove(item: number): void {
    this.take(this.items.findIndex((other) => other.item === item));
  }

  ahead(priority: Priority): number {
    return this.items.filter(({ rank }) => rank >= PRIORITY_RANKS[priority]).length;
  }
}

describe('PriorityQueue', () => {
  it('gives the most urgent first, and the oldest of those', () => {
    const queue = new PriorityQueue<string>();
    for (const [item, priority] of [
      ['n1', 'normal'],
      ['l1', 'low'],
      ['h1', 'high'],
      ['n2', 'normal'],
      ['c1', 'critical'],
    ] as const)
      queue.push(item, priority);
    expect(PRIORITIES.map((priority) => queue.ahead(priority))).toEqual([5, 4, 2, 1]);
    expect(queue.clear()).toEqual(['c1', 'h1', 'n1', 'n2', 'l1']);
    expect([queue.size, queue.shift()]).toEqual([0, undefined]);
  });

  it('gives up the youngest of the least urgent, and nothing that is as urgent as what comes', () => {
    const queue = new PriorityQueue<string>();
    for (const [item, priority] of [
      ['l1', 'low'],
      ['n1', 'normal'],
      ['l2', 'low'],
    ] as const)
      queue.push(item, priority);
    expect([queue.popBelow('low'), queue.popBelow('high'), queue.popBelow('high')]).toEqual([undefined, 'l2', 'l1']);
    expect([queue.popBelow('normal'), queue.popBelow('critical'), queue.popBelow('critical')]).toEqual([
      undefined,
      'n1',
      undefined,
    ]);
  });

  it('does what a sorted list does, whatever comes, goes and leaves from the middle', () => {
    const priority = fc.constantFrom(...PRIORITIES);
    const step = fc.oneof(
      fc.record({ kind: fc.constant('push' as const), priority }),
      fc.record({ kind: fc.constant('shift' as const) }),
      fc.record({ kind: fc.constant('popBelow' as const), priority }),
      fc.record({ kind: fc.constant('remove' as const), which: fc.nat() }),
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        const queue = new PriorityQueue<number>();
        const model = new Model();
        const places = new Map<number, Place<number>>();
        for (const [item, does] of steps.entries()) {
          if (does.kind === 'push') {
            places.set(item, queue.push(item, does.priority));
            model.push(item, does.priority);
          } else if (does.kind === 'remove') {
            const [id, place] = [...places][does.which % Math.max(1, places.size)] ?? [];
            if (id === undefined || place === undefined) continue;
            expect(queue.remove(place)).toBe(id);
            model.remove(id);
            places.delete(id);
          } else {
            const got = does.kind === 'shift' ? queue.shift() : queue.popBelow(does.priority);
            expect(got).toBe(does.kind === 'shift' ? model.shift() : model.popBelow(does.priority));
            if (got !== undefined) places.delete(got);
          }
          expect(queue.size).toBe(model.items.length);
          for (const each of PRIORITIES) expect(queue.ahead(each)).toBe(model.ahead(each));
        }
      }),
    );
  });
});
