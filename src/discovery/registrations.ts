import { isTroupeError, TroupeError } from '../core/errors.js';
import { type Instance, type InstanceKey, type InstanceStatus, instanceKeyText, mayBecome } from '../core/instance.js';

/** In one registration at most, so that it fits into one transaction of the store. */
export const PUT_AT_ONCE = 100;
/** For so long what was sent and not answered may still come into effect: the time of its call, and what a store takes after that. */
export const IN_DOUBT_MS = 15_000;

/** Who asked for a change. Hears once what became of it. */
export interface Asker {
  done(): void;
  failed(error: unknown): void;
}

/** One instance in a write. */
export interface Change {
  readonly key: InstanceKey;
  /** What it shall be; undefined: removed. */
  readonly instance: Instance | undefined;
  /** What was known of it before this was sent. */
  readonly before: Known;
}

/** What is to be written now, in one call. */
export interface Write {
  readonly kind: 'register' | 'remove' | 'status';
  readonly leaseId: bigint;
  readonly sentAtMs: number;
  readonly changes: readonly Change[];
}

/** What the registry has under the present lease, as far as it has said. */
type Known = Instance | 'nothing' | 'unknown';

interface Entry {
  readonly key: InstanceKey;
  /** What shall be in the registry; undefined: nothing. */
  wanted: Instance | undefined;
  known: Known;
  /** What was sent earlier may come into effect until then. */
  doubtUntilMs: number;
  /** The call that `wanted` came with, until the registry has it. */
  put: Put | undefined;
  /** Who else waits until `wanted` is there. */
  readonly waits: Set<Wait>;
  /** Written alone, since it was refused together with others. */
  alone: boolean;
}

/** Instances that are registered together or not at all. */
interface Put {
  readonly entries: readonly Entry[];
  /** What was wanted of each before. */
  readonly before: readonly (Instance | undefined)[];
  readonly asker: Asker;
}

interface Wait {
  readonly left: Set<Entry>;
  readonly asker: Asker;
}

/**
 * What shall hang on the lease of a process, next to what the registry has said of it: the difference is what to write next. Sends nothing
 * itself and knows no clock. Of writes there is one at a time: after `next` comes `acknowledged`, `refused` or `unanswered`.
 *
 * What is sent is unknown until it is answered. Where no answer comes it is written again, and once more when what was sent first can no
 * longer come into effect: it may have overtaken nothing, but be overtaken by all that was sent after it.
 */
export class Registrations {
  private readonly entries = new Map<string, Entry>();
  private readonly own: Entry & { wanted: Instance };
  /** What is known to differ, or not known, longest due first. */
  private readonly due = new Set<Entry>();
  /** What may yet change behind our back, in the order of `doubtUntilMs`. */
  private readonly doubts = new Set<Entry>();
  /** What was registered under the lease before and is not under this one yet. */
  private readonly toRestore = new Set<Entry>();
  private leaseId: bigint | undefined;

  /** `onTaken`: what was registered under an earlier lease is somebody else's by now, and given up. */
  constructor(
    self: Instance,
    private readonly onTaken: (key: InstanceKey) => void = () => undefined,
  ) {
    this.own = Object.assign(this.entry(self), { wanted: self });
  }

  /** The process itself, as it shall be registered. */
  get self(): Instance {
    return this.own.wanted;
  }

  /** Instances that shall be registered. */
  get size(): number {
    let size = 0;
    for (const { wanted } of this.entries.values()) if (wanted !== undefined) size += 1;
    return size;
  }

  /** Whether all that hung on the lease before hangs on the present one. */
  get isRestored(): boolean {
    return this.leaseId !== undefined && this.toRestore.size === 0;
  }

  /** A new lease, under which `registered` is all that the registry has. */
  begin(leaseId: bigint, registered: Instance): void {
    this.end();
    this.leaseId = leaseId;
    this.own.known = registered;
    for (const entry of this.entries.values()) {
      this.look(entry);
      if (entry !== this.own) this.toRestore.add(entry);
    }
  }

  /** The lease is gone, with all that hung on it. Who waits for a registration hears NOT_JOINED; all else is done by that. */
  end(): void {
    this.leaseId = undefined;
    for (const set of [this.due, this.doubts, this.toRestore]) set.clear();
    for (const entry of this.entries.values()) Object.assign(entry, { known: 'nothing', doubtUntilMs: 0, alone: false });
    for (const entry of this.entries.values()) {
      if (entry.put !== undefined) this.giveUp(entry.put, notJoined());
      this.conclude(entry);
      this.look(entry);
    }
  }

  /** These shall be registered, all or none. @throws UNAVAILABLE / NOT_JOINED without a lease. */
  want(instances: readonly Instance[], asker: Asker): void {
    if (!this.isRestored) throw notJoined();
    const entries = instances.map((instance) => this.entry(instance));
    for (const { put } of entries) if (put !== undefined) this.giveUp(put, withdrawn());
    const put = { entries, before: entries.map(({ wanted }) => wanted), asker };
    entries.forEach((entry, index) => {
      entry.put = put;
      this.change(entry, instances[index]);
    });
  }

  /** These, which the process itself is not among, shall not be registered any more. Done at once where none can be. */
  unwant(keys: readonly InstanceKey[], asker: Asker): void {
    const entries = keys.flatMap((key) => this.entries.get(instanceKeyText(key)) ?? []).filter((entry) => entry !== this.own);
    for (const entry of entries) {
      if (entry.put !== undefined) this.giveUp(entry.put, withdrawn());
      this.change(entry, undefined);
    }
    this.wait(entries, asker);
  }

  /** The process shall have this status. One that may not follow that which it shall have now is ignored: who drains does not come up again. */
  become(status: InstanceStatus, asker: Asker): void {
    if (mayBecome(this.self.status, status)) this.change(this.own, { ...this.self, status });
    this.wait([this.own], asker);
  }

  /** Whether somebody waits for something that is due. */
  get isAwaited(): boolean {
    for (const { put, waits } of this.due) if (put !== undefined || waits.size > 0) return true;
    return false;
  }

  /** What to send now; undefined: nothing. What has been due longest comes first, and of the same kind as much as goes into one call. */
  next(nowMs: number): Write | undefined {
    if (this.leaseId === undefined) return undefined;
    for (const entry of this.doubts) {
      if (entry.doubtUntilMs > nowMs) break;
      this.doubts.delete(entry);
      entry.known = 'unknown';
      this.look(entry);
    }
    const [first] = this.due;
    if (first === undefined) return undefined;
    const kind = this.kindOf(first);
    const chosen = new Set<Entry>();
    for (const entry of this.due) {
      if (this.kindOf(entry) !== kind || (entry.alone && entry !== first)) continue;
      const together = entry.put?.entries ?? [entry];
      if (chosen.size > 0 && chosen.size + together.length > PUT_AT_ONCE) break;
      for (const each of together) chosen.add(each);
      if (entry.alone) break;
    }
    const changes = [...chosen].map(({ key, wanted, known }) => ({ key, instance: wanted, before: known }));
    for (const entry of chosen) entry.known = 'unknown';
    return { kind, leaseId: this.leaseId, sentAtMs: nowMs, changes };
  }

  /** When there may be something to send although nothing happens. */
  get dueAtMs(): number | undefined {
    const [first] = this.doubts;
    return first?.doubtUntilMs;
  }

  /** The registry has taken it. */
  acknowledged(write: Write): void {
    for (const { entry, instance } of this.sent(write)) {
      entry.known = instance ?? 'nothing';
      entry.alone = false;
    }
    for (const { entry } of this.sent(write)) {
      const { put } = entry;
      if (put?.entries.every(isThere)) {
        for (const each of put.entries) each.put = undefined;
        put.asker.done();
      }
      this.look(entry);
    }
  }

  /** The registry has refused it, and nothing has changed there. Whether something else is to be sent now; else the same, later. */
  refused(write: Write, error: unknown): boolean {
    const sent = this.sent(write);
    for (const { entry, before } of sent) {
      entry.known = before;
      this.look(entry);
    }
    const culprit = sent.find(({ entry: { key } }) => isTaken(error, key))?.entry;
    const calls = new Set(sent.map(({ entry }) => entry.put ?? entry));
    if (culprit === undefined && calls.size > 1) {
      for (const { entry } of sent) entry.alone = true;
      return true;
    }
    const [entry] = culprit === undefined ? sent.map((each) => each.entry) : [culprit];
    if (entry === undefined) return true;
    if (entry.put !== undefined) {
      this.giveUp(entry.put, error);
      return true;
    }
    // It is not there, or not as is believed here; where it is removed, it is somebody else's.
    if (SAY_IT_IS_NOT_THERE[write.kind].some((reason) => isTroupeError(error, reason))) {
      entry.known = 'nothing';
      this.look(entry);
      return true;
    }
    if (culprit !== undefined && culprit !== this.own) {
      this.change(culprit, undefined);
      this.onTaken(culprit.key);
      return true;
    }
    this.failed(write, error);
    return false;
  }

  /** Nobody knows what became of it. Who waits hears so; what is kept is tried again. */
  unanswered(write: Write, error: unknown): void {
    for (const { entry } of this.sent(write)) {
      entry.doubtUntilMs = write.sentAtMs + IN_DOUBT_MS;
      this.doubts.delete(entry);
      this.doubts.add(entry);
    }
    this.failed(write, error);
  }

  private failed(write: Write, error: unknown): void {
    for (const { entry, instance } of this.sent(write)) {
      // What has been asked for since was not tried yet.
      if (entry.wanted === instance) {
        if (entry.put !== undefined) this.giveUp(entry.put, error);
        this.conclude(entry, { error });
      }
      this.due.delete(entry);
      this.look(entry);
    }
  }

  private sent({ leaseId, changes }: Write) {
    if (leaseId !== this.leaseId) return [];
    return changes.flatMap(({ key, instance, before }) => {
      const entry = this.entries.get(instanceKeyText(key));
      return entry === undefined ? [] : [{ entry, instance, before }];
    });
  }

  private entry({ service, id }: InstanceKey): Entry {
    const key = { service, id };
    const text = instanceKeyText(key);
    let entry = this.entries.get(text);
    if (entry === undefined) {
      entry = { key, wanted: undefined, known: 'nothing', doubtUntilMs: 0, put: undefined, waits: new Set(), alone: false };
      this.entries.set(text, entry);
    }
    return entry;
  }

  private kindOf(entry: Entry): Write['kind'] {
    if (entry.wanted === undefined) return 'remove';
    return entry === this.own && entry.known !== 'nothing' ? 'status' : 'register';
  }

  private change(entry: Entry, wanted: Instance | undefined): void {
    entry.wanted = wanted;
    // What they waited for is not wanted any more.
    this.conclude(entry);
    this.look(entry);
  }

  /** Takes back what a call asked for. */
  private giveUp({ entries, before, asker }: Put, error: unknown): void {
    entries.forEach((entry, index) => {
      entry.put = undefined;
      this.change(entry, before[index]);
    });
    asker.failed(error);
  }

  private wait(entries: readonly Entry[], asker: Asker): void {
    const left = new Set(this.leaseId === undefined ? [] : entries.filter((entry) => !isThere(entry)));
    if (left.size === 0) return asker.done();
    for (const entry of left) entry.waits.add({ left, asker });
  }

  /** Ends the waits for an entry: it is as they want it, or `failure`. */
  private conclude(entry: Entry, failure?: { readonly error: unknown }): void {
    if (failure === undefined) this.toRestore.delete(entry);
    for (const { left, asker } of entry.waits) {
      if (!left.delete(entry)) continue;
      if (failure !== undefined) {
        left.clear();
        asker.failed(failure.error);
      } else if (left.size === 0) asker.done();
    }
    entry.waits.clear();
  }

  /** Notes whether there is something to do about an entry, and forgets it where there never will be. */
  private look(entry: Entry): void {
    if (isThere(entry)) this.conclude(entry);
    if (this.leaseId !== undefined && (!isThere(entry) || entry.put !== undefined)) this.due.add(entry);
    else this.due.delete(entry);
    const text = instanceKeyText(entry.key);
    if (entry.wanted === undefined && isThere(entry) && !this.doubts.has(entry)) this.entries.delete(text);
    else this.entries.set(text, entry);
  }
}

/** Whether the registry is known to have what is wanted. */
function isThere({ wanted, known }: Entry): boolean {
  return known === (wanted ?? 'nothing');
}

const SAY_IT_IS_NOT_THERE: Readonly<Record<Write['kind'], readonly string[]>> = {
  register: [],
  remove: ['NOT_THE_HOLDER'],
  status: ['UNKNOWN_INSTANCE', 'STATUS_TRANSITION'],
};

function isTaken(error: unknown, { service, id }: InstanceKey): boolean {
  return isTroupeError(error, 'ALREADY_REGISTERED') && error.metadata.service === service && error.metadata.id === id;
}

export function notJoined(): TroupeError {
  return new TroupeError('UNAVAILABLE', 'NOT_JOINED', 'this process holds no lease now: the registry is not reached; try again', {
    retryAfterMs: 1_000,
  });
}

function withdrawn(): TroupeError {
  return new TroupeError('ABORTED', 'WITHDRAWN', 'it was removed, or put anew, before it was registered');
}
