import { type Random, randomInt } from '../core/random.js';
import type { Candidate } from './picker.js';
import { Turn } from './turn.js';

/** Everybody of one weight: they are due as often, so one deadline and a turn among them do for all. */
interface Group<C extends Candidate> {
  readonly weight: number;
  readonly turn: Turn<C>;
  /** When it is due next, in the schedule's own time. */
  deadline: number;
}

/** What of a group is kept over changes of membership. */
interface Phase {
  /** How much of the time between two of its turns is left, 0 to 1. */
  readonly left: number;
  readonly turn: Turn<Candidate>;
}

/**
 * Earliest deadline first: each group is due every 1 / (weight × size), and the one that is due first is next, which spaces everybody's
 * turns evenly (as Envoy's and gRPC's weighted round robin do it, gRFC A58). Weights are whole numbers from 1 to 1000, so the heap has 1,000 entries at
 * most, however many candidates there are.
 */
export class DeadlineSchedule<C extends Candidate> {
  /** A binary heap by deadline; the first one is due. */
  private readonly heap: Group<C>[];
  private now = 0;
  /** Of groups that have nobody now: who comes back goes on where he was. */
  private readonly away: ReadonlyMap<number, Phase>;

  /**
   * @param before what this one goes on from. Groups that are new begin anywhere in their period, so that many routers that start together
   * do not all begin with the same candidate (as in A58).
   */
  constructor(candidates: readonly C[], before: DeadlineSchedule<Candidate> | undefined, random: Random) {
    const phases = before?.phases() ?? new Map<number, Phase>();
    this.heap = byWeight(candidates)
      .map((members) => {
        const { weight } = members[0];
        const phase = phases.get(weight);
        phases.delete(weight);
        const turn = phase === undefined ? new Turn(members, randomInt(random, members.length)) : Turn.after(phase.turn, members);
        return { weight, turn, deadline: (phase?.left ?? random.next()) / (weight * members.length) };
      })
      .sort((a, b) => a.deadline - b.deadline);
    this.away = phases;
  }

  /** Who is due, of those that are not excluded. */
  next(excluded: ReadonlySet<string> | undefined): C | undefined {
    return this.serve(0, excluded) ?? (excluded === undefined ? undefined : this.serve(this.firstAllowed(excluded), excluded));
  }

  /**
   * Gives the next one of the group at `position`, if it has one, and sets when the group is due again: counted from now, not from a deadline at which it was
   * passed over because its members were excluded. It does not make up for those.
   */
  private serve(position: number, excluded: ReadonlySet<string> | undefined): C | undefined {
    const group = this.heap[position];
    const candidate = group?.turn.next(excluded);
    if (group === undefined || candidate === undefined) return undefined;
    this.now = Math.max(this.now, group.deadline);
    group.deadline = this.now + 1 / (group.weight * group.turn.size);
    this.siftDown(position, group);
    return candidate;
  }

  /** Where in the heap the group is that is due first of those that are not excluded as a whole; -1 when there is none. */
  private firstAllowed(excluded: ReadonlySet<string>): number {
    let first = -1;
    this.heap.forEach(({ turn, deadline }, position) => {
      if (deadline >= (this.heap[first]?.deadline ?? Number.POSITIVE_INFINITY)) return;
      if (turn.hasAllowed(excluded)) first = position;
    });
    return first;
  }

  private siftDown(from: number, group: Group<C>): void {
    const { heap } = this;
    let position = from;
    for (;;) {
      let child = 2 * position + 1;
      let earliest = heap[child];
      if (earliest === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && right.deadline < earliest.deadline) {
        earliest = right;
        child += 1;
      }
      if (earliest.deadline >= group.deadline) break;
      heap[position] = earliest;
      position = child;
    }
    heap[position] = group;
  }

  private phases(): Map<number, Phase> {
    const phases = new Map(this.away);
    for (const { weight, turn, deadline } of this.heap)
      phases.set(weight, { left: Math.min(1, Math.max(0, (deadline - this.now) * weight * turn.size)), turn });
    return phases;
  }
}

function byWeight<C extends Candidate>(candidates: readonly C[]): [C, ...C[]][] {
  const groups = new Map<number, [C, ...C[]]>();
  for (const candidate of candidates) {
    const group = groups.get(candidate.weight);
    if (group === undefined) groups.set(candidate.weight, [candidate]);
    else group.push(candidate);
  }
  return [...groups.values()];
}
