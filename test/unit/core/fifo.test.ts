import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Fifo } from '../../../src/core/fifo.js';

describe('Fifo', () => {
  it('is what an array would be under the same pushes, shifts and clears', () => {
    const step = fc.oneof(
      { weight: 10, arbitrary: fc.constant('push' as const) },
      { weight: 8, arbitrary: fc.constant('shift' as const) },
      { weight: 1, arbitrary: fc.constant('clear' as const) },
    );
    fc.assert(
      fc.property(fc.array(step, { maxLength: 500, size: 'max' }), (steps) => {
        const fifo = new Fifo<number>();
        let model: number[] = [];
        steps.forEach((kind, index) => {
          if (kind === 'push') {
            fifo.push(index);
            model.push(index);
          } else if (kind === 'shift') expect(fifo.shift()).toBe(model.shift());
          else {
            expect(fifo.clear()).toEqual(model);
            model = [];
          }
          expect(fifo.size).toBe(model.length);
        });
        expect(fifo.clear()).toEqual(model);
      }),
    );
  });

  it('holds nothing of what was taken', () => {
    const fifo = new Fifo<number>();
    for (let i = 0; i < 10_000; i++) {
      fifo.push(i);
      fifo.push(i);
      fifo.shift();
      fifo.shift();
    }
    expect((Reflect.get(fifo, 'items') as unknown[]).length).toBeLessThan(100);
  });
});
