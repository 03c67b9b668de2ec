import type { Random } from '../core/random.js';

/** A part of a column as a whole number, so that it lies beside the alias in one array. */
const WHOLE = 2 ** 31 - 1;

/**
 * Draws an index as often as its weight says, in constant time: Walker's alias method, built as in Vose, "A Linear Algorithm for Generating
 * Random Numbers with a Given Distribution" (1991). Each index has a column of equal width, of which it keeps a part and gives the rest to one other.
 */
export class AliasTable {
  /** For each column the part that it keeps, in `WHOLE`ths, and whose the rest is: side by side, so that a draw costs one cache line. */
  private readonly columns: Int32Array;
  private readonly size: number;

  /** @param weights at least one, each above 0. */
  constructor(weights: Uint16Array) {
    this.size = weights.length;
    this.columns = new Int32Array(weights.length * 2);
    let sum = 0;
    for (const weight of weights) sum += weight;
    const parts = new Float64Array(weights.length);
    weights.forEach((weight, column) => {
      parts[column] = (weight * weights.length) / sum;
      // Rounding leaves some columns that are full or as good as that without an alias: the rest is their own too.
      this.columns[column * 2 + 1] = column;
    });
    this.level(parts);
  }

  draw(random: Random): number {
    const x = random.next() * this.size;
    const column = Math.floor(x);
    return (x - column) * WHOLE < (this.columns[column * 2] ?? 0) ? column : (this.columns[column * 2 + 1] ?? column);
  }

  /** Fills the columns that are short from those that have too much. */
  private level(parts: Float64Array): void {
    // Two stacks in one array: columns that are short from its start on, the others from its end on.
    const stacks = new Int32Array(parts.length);
    let short = 0;
    let long = parts.length;
    parts.forEach((part, column) => {
      if (part < 1) stacks[short++] = column;
      else stacks[--long] = column;
    });
    while (short > 0 && long < parts.length) {
      const lacking = stacks[--short] ?? 0;
      const giving = stacks[long] ?? 0;
      const part = parts[lacking] ?? 0;
      this.columns[lacking * 2] = Math.round(part * WHOLE);
      this.columns[lacking * 2 + 1] = giving;
      const rest = (parts[giving] ?? 0) - (1 - part);
      parts[giving] = rest;
      if (rest >= 1) continue;
      long += 1;
      stacks[short++] = giving;
    }
  }
}
