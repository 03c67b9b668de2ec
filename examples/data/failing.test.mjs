import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Stack } from './stack.mjs';

test('a new stack is empty', () => {
  assert.equal(new Stack().size, 0);
});

// Fails on purpose: a stack gives back the last item, not the first.
test('gives back the first item first', () => {
  const stack = new Stack();
  stack.push('first');
  stack.push('second');
  assert.equal(stack.pop(), 'first');
});
