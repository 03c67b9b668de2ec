import type { Clock } from '../core/clock.js';
import type { Instrument } from './instruments.js';

/** Something that is counted, with the values of its labels. */
export interface Counter {
  add(amount?: number): void;
}

export interface Histogram {
  /** `value` in the unit of its instrument. */
  record(value: number): void;
}

/** One of the lines of an instrument: values of its labels in their order, and its number. */
export type Reading = readonly [labels: readonly string[], value: number];

/** How values were spread so far. */
export interface Spread {
  readonly count: number;
  readonly sum: number;
  /** By bucket; one more than there are bounds. */
  readonly counts: readonly number[];
}

/** An instrument with all its lines as they are now. */
export interface Family {
  readonly instrument: Instrument;
  readonly lines: readonly { readonly labels: readonly string[]; readonly value: number | Spread }[];
}

/** Lines that an instrument has at most; what is beyond goes to one whose labels are all `other`. */
const MAX_LINES = 400;
const OTHER = 'other';

type CounterOf<L extends string> = Instrument<L> & { readonly kind: 'counter' };
type HistogramOf<L extends string> = Instrument<L> & { readonly kind: 'histogram'; readonly buckets: readonly number[] };
type ReadOf<L extends string> = Instrument<L> & { readonly kind: 'counter' | 'gauge' };

/**
 * The measurements of one process. Recording is a few additions, so that it can be done for each call: OpenTelemetry's own instruments
 * hash their attributes each time. What is exported is in OpenTelemetry's form (`metric-data.ts`).
 */
export class Metrics {
  /** When it began to count, milliseconds since the epoch. */
  readonly startedAtMs: number;
  private readonly counters = new Map<Instrument, Lines<Count>>();
  private readonly histograms = new Map<Instrument, Lines<Buckets>>();
  private readonly readers = new Map<Instrument, Set<() => Iterable<Reading>>>();

  constructor(clock: Pick<Clock, 'now'>) {
    this.startedAtMs = clock.now();
  }

  /** A counter for values of the labels, in their order: keep it where it is used often. */
  counter<L extends string>(instrument: CounterOf<L>, ...labels: string[]): Counter {
    let lines = this.counters.get(instrument);
    if (lines === undefined) {
      lines = new Lines(instrument, () => new Count());
      this.counters.set(instrument, lines);
    }
    return lines.of(labels);
  }

  /** A histogram for values of the labels, in their order: keep it where it is used often. */
  histogram<L extends string>(instrument: HistogramOf<L>, ...labels: string[]): Histogram {
    let lines = this.histograms.get(instrument);
    if (lines === undefined) {
      lines = new Lines(instrument, () => new Buckets(instrument.buckets));
      this.histograms.set(instrument, lines);
    }
    return lines.of(labels);
  }

  /** Has `read` give the lines of an instrument whenever somebody looks; what several give of the same labels is added up. Gives the way to end that. */
  observe<L extends string>(instrument: ReadOf<L>, read: () => Iterable<Reading> | number): () => void {
    const readers = this.readers.get(instrument) ?? new Set();
    this.readers.set(instrument, readers);
    const reader = () => {
      const readings = read();
      return typeof readings === 'number' ? [[[], readings] as const] : readings;
    };
    readers.add(reader);
    return () => readers.delete(reader);
  }

  /** All that is measured. */
  collect(): readonly Family[] {
    const families: Family[] = [];
    for (const [instrument, lines] of this.histograms) families.push({ instrument, lines: lines.read() });
    for (const instrument of new Set([...this.readers.keys(), ...this.counters.keys()])) {
      const sums = new Lines(instrument, () => new Count());
      for (const { labels, value } of this.counters.get(instrument)?.read() ?? []) sums.of(labels).add(value as number);
      for (const read of this.readers.get(instrument) ?? []) for (const [labels, value] of read()) sums.of(labels).add(value);
      families.push({ instrument, lines: sums.read() });
    }
    return families;
  }
}

interface Line {
  read(): number | Spread;
}

class Lines<T extends Line> {
  private readonly lines = new Map<string, { readonly labels: readonly string[]; readonly line: T }>();

  constructor(
    private readonly instrument: Instrument,
    private readonly make: () => T,
  ) {}

  of(labels: readonly string[]): T {
    if (labels.length !== this.instrument.labels.length)
      throw new RangeError(`${this.instrument.name} has the labels ${this.instrument.labels.join(', ')}`);
    const key = labels.join('\n');
    const found = this.lines.get(key);
    if (found !== undefined) return found.line;
    if (this.lines.size >= MAX_LINES && labels.some((value) => value !== OTHER)) return this.of(labels.map(() => OTHER));
    const line = this.make();
    this.lines.set(key, { labels: [...labels], line });
    return line;
  }

  read() {
    return [...this.lines.values()].map(({ labels, line }) => ({ labels, value: line.read() }));
  }
}

class Count implements Counter, Line {
  private value = 0;

  add(amount = 1): void {
    this.value += amount;
  }

  read(): number {
    return this.value;
  }
}

class Buckets implements Histogram, Line {
  private readonly counts: number[];
  private count = 0;
  private sum = 0;

  constructor(private readonly bounds: readonly number[]) {
    this.counts = new Array<number>(bounds.length + 1).fill(0);
  }

  record(value: number): void {
    // A clock or a caller at fault must not spoil all that was measured.
    if (!(value >= 0)) return;
    this.count += 1;
    this.sum += value;
    const { bounds } = this;
    let index = 0;
    // Bounds are inclusive, as OpenTelemetry and Prometheus have it. Most values are in the first few.
    while (index < bounds.length && value > (bounds[index] as number)) index += 1;
    this.counts[index] = (this.counts[index] as number) + 1;
  }

  read(): Spread {
    return { count: this.count, sum: this.sum, counts: [...this.counts] };
  }
}
