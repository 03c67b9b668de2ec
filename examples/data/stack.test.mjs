import assert from 'node:assert/strict';
import { describe, it, test } from 'node:test';
import { Stack } from './stack.mjs';

describe('Stack', () => {
  it('gives back the last item first', () => {
    const stack = new Stack();
    for (const item of ['a', 'b', 'c']) stack.push(item);
    assert.deepEqual([stack.pop(), stack.pop(), stack.pop()], ['c', 'b', 'a']);
  });

  it('shows its top without taking it', () => {
    const stack = new Stack();
    stack.push(1);
    assert.equal(stack.peek(), 1);
    assert.equal(stack.size, 1);
  });

  it('has no top when empty', () => {
    assert.equal(new Stack().peek(), undefined);
  });

  describe('with a capacity', () => {
    it('refuses an item over it', () => {
      const stack = new Stack(1);
      stack.push('only');
      assert.throws(() => stack.push('more'), { name: 'RangeError', message: 'the stack is full' });
    });

    it('must be at least 1', () => {
      assert.throws(() => new Stack(0), RangeError);
      assert.throws(() => new Stack(Number.NaN), RangeError);
    });
  });
});

test('an empty stack has nothing to pop', () => {
  assert.throws(() => new Stack().pop(), /empty/);
});
