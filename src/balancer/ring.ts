import { finalise, murmur3 } from './hash-key.js';

export interface RingMember {
  readonly key: string;
  readonly weight: number;
}

/** Points of a member of weight 1 where that is the usual weight: ketama's 160, with which shares differ by 8 % (one in √160). */
const POINTS = 160;
/** Beyond it everybody gets half as many, and so on: what a ring costs in memory (5 bytes each) and in time to build. */
const MAX_POINTS = 2 ** 19;
const SEEDS = [0, 0x9e3779b9] as const;
/** A range of hashes has 4 to 8 points on average, fewer where there are few for each member: a search looks at a cache line or two. */
const POINTS_IN_RANGE_LOG2 = 2;

/**
 * A hash ring (Karger et al., 1997): each member is at as many points as its weight says, at places that depend on its key alone, and a key belongs
 * to the first point from its hash on. So who comes or goes moves only the keys that he gets or had. Immutable.
 */
export class Ring {
  readonly size: number;
  /**
   * The points by hash, each as one number so that a ring among many stays in the processor's caches: the low bits of its hash, of which its range says the
   * rest, above its member. That there are at least as many ranges as members makes them fit.
   */
  private readonly points: Uint32Array;
  /** Where the points begin of each range of hashes, and where those of the last one end. */
  private readonly starts: Uint32Array;
  private readonly rangeBits: number;
  private readonly memberMask: number;
  private readonly keys: readonly string[];
  private readonly weights: Uint16Array;

  constructor(members: readonly RingMember[]) {
    this.keys = members.map(({ key }) => key);
    this.weights = Uint16Array.from(members, ({ weight }) => weight);
    const points = ringPoints(members);
    this.size = points.length / 2;
    const memberBits = Math.ceil(Math.log2(Math.max(2, members.length)));
    this.rangeBits = Math.max(memberBits, Math.floor(Math.log2(Math.max(1, this.size))) - POINTS_IN_RANGE_LOG2);
    this.memberMask = 2 ** this.rangeBits - 1;
    this.starts = startsOf(points, this.rangeBits);
    this.points = new Uint32Array(this.size);
    for (let i = 0; i < this.size; i++) this.points[i] = this.packed(points[i * 2] ?? 0, points[i * 2 + 1] ?? 0);
  }

  /** Whether a ring of these members would be the same. */
  isOf(members: readonly RingMember[]): boolean {
    const { keys, weights } = this;
    return keys.length === members.length && members.every(({ key, weight }, i) => key === keys[i] && weight === weights[i]);
  }

  /** The first point at or after `hash`, clockwise. */
  find(hash: number): number {
    const range = hash >>> (32 - this.rangeBits);
    const end = this.starts[range + 1] ?? 0;
    const from = this.packed(hash, 0);
    let point = this.starts[range] ?? 0;
    while (point < end && (this.points[point] ?? 0) < from) point += 1;
    return point === this.size ? 0 : point;
  }

  /** Whose a point is: an index into the members. */
  memberAt(point: number): number {
    return (this.points[point] ?? 0) & this.memberMask;
  }

  private packed(hash: number, member: number): number {
    return ((hash << this.rangeBits) | member) >>> 0;
  }
}

/** Hash and member of each point, by hash: what a ring of these members is made of. */
export function ringPoints(members: readonly RingMember[]): Uint32Array {
  const counts = pointCounts(Uint16Array.from(members, ({ weight }) => weight));
  const size = counts.reduce((sum, count) => sum + count, 0);
  return sortedByHash(
    pointsOf(
      members.map(({ key }) => key),
      counts,
      size,
    ),
  );
}

/**
 * How many points each member gets: in proportion to its weight, at least one. What a unit of weight gets depends on the mean weight and on the total,
 * in steps, so that all routers find the same and that a change of members does not move everybody's points: a step is taken when the mean passes
 * 2.8, 11.3, 45.3, 181 or 724 (none of them a weight that people choose) or the total passes its bound; then most keys move.
 */
function pointCounts(weights: Uint16Array): Uint32Array {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const step = Math.round((Math.log2(total / weights.length) - 0.5) / 2);
  let perUnit = POINTS / 4 ** step;
  while (perUnit * total > MAX_POINTS && perUnit * total > weights.length) perUnit /= 2;
  return Uint32Array.from(weights, (weight) => Math.max(1, Math.round(weight * perUnit)));
}

/** Hash and member of all points, member by member. Two hashes of the key make them, so that no two members share more than a point by chance. */
function pointsOf(keys: readonly string[], counts: Uint32Array, size: number): Uint32Array {
  const points = new Uint32Array(size * 2);
  const bytes = Buffer.allocUnsafe(3 * keys.reduce((longest, { length }) => Math.max(longest, length), 0));
  let next = 0;
  for (let member = 0; member < keys.length; member++) {
    const length = bytes.write(keys[member] ?? '');
    const stride = murmur3(bytes, length, SEEDS[1]) | 1;
    let place = murmur3(bytes, length, SEEDS[0]);
    for (let left = counts[member] ?? 0; left > 0; left--) {
      points[next++] = finalise(place);
      points[next++] = member;
      place = (place + stride) | 0;
    }
  }
  return points;
}

const DIGIT_BITS = 11;
const DIGITS = 2 ** DIGIT_BITS;

/** A radix sort, least digit first: linear, and stable, so that of two at one place the member who comes first is first. */
function sortedByHash(points: Uint32Array): Uint32Array {
  let from = points;
  let to: Uint32Array = new Uint32Array(points.length);
  for (let shift = 0; shift < 32; shift += DIGIT_BITS) {
    const next = new Uint32Array(DIGITS + 1);
    for (let i = 0; i < from.length; i += 2) add(next, (((from[i] ?? 0) >>> shift) & (DIGITS - 1)) + 1, 1);
    for (let digit = 1; digit < DIGITS; digit++) add(next, digit, next[digit - 1] ?? 0);
    for (let i = 0; i < from.length; i += 2) {
      const hash = from[i] ?? 0;
      const digit = (hash >>> shift) & (DIGITS - 1);
      const at = (next[digit] ?? 0) * 2;
      next[digit] = at / 2 + 1;
      to[at] = hash;
      to[at + 1] = from[i + 1] ?? 0;
    }
    [from, to] = [to, from];
  }
  return from;
}

function startsOf(points: Uint32Array, rangeBits: number): Uint32Array {
  const starts = new Uint32Array(2 ** rangeBits + 1);
  for (let i = 0; i < points.length; i += 2) add(starts, ((points[i] ?? 0) >>> (32 - rangeBits)) + 1, 1);
  for (let range = 1; range < starts.length; range++) add(starts, range, starts[range - 1] ?? 0);
  return starts;
}

function add(counts: Uint32Array, index: number, by: number): void {
  counts[index] = (counts[index] ?? 0) + by;
}
