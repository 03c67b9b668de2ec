/** A last-in, first-out stack that holds at most `capacity` items. */
export class Stack {
  #items = [];

  constructor(capacity = Number.POSITIVE_INFINITY) {
    if (!(capacity >= 1)) throw new RangeError('capacity must be at least 1');
    this.capacity = capacity;
  }

  get size() {
    return this.#items.length;
  }

  push(item) {
    if (this.size === this.capacity) throw new RangeError('the stack is full');
    this.#items.push(item);
  }

  pop() {
    if (this.size === 0) throw new RangeError('the stack is empty');
    return this.#items.pop();
  }

  peek() {
    return this.#items.at(-1);
  }
}
