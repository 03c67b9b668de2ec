import { type Instance, type InstanceKey, type InstanceStatus, instanceKeyText, mayBecome } from '../core/instance.js';
import { notJoined } from './not-joined.js';
import { type Asker, type Put, Registration, withdrawn } from './registration.js';
import { nextBatch, saysNotThere, saysTaken, type Write } from './registration-write.js';

/** For so long what was sent and not answered may still come into effect: the time of its call, and what a store takes after that. */
export const IN_DOUBT_MS = 15_000;

/**
 * What shall hang on the lease of a process, next to what the registry has said of it: the difference is what to write next. Sends nothing
 * itself and knows no clock. There is one write at a time: after `next` comes `acknowledged`, `refused` or `unanswered`.
 *
 * What is sent is unknown until it is answered. Where no answer comes it is sent again, and once more when what was sent first can no longer
 * come into effect: that may have been overtaken by all that came after it.
 */
export class Registrations {
  private readonly all = new Map<string, Registration>();
  private readonly own: Registration & { wanted: Instance };
  /** What differs from what is known, or is not known: first what has been so longest. */
  private readonly due = new Set<Registration>();
  /** What may yet change behind our back, in the order of `doubtUntilMs`. */
  private readonly doubts = new Set<Registration>();
  /** What was registered under the lease before and has not been under this one. */
  private readonly toRestore = new Set<Registration>();
  private leaseId: bigint | undefined;

  /** `onTaken`: what was registered under an earlier lease is somebody else's by now, and given up. */
  constructor(
    self: Instance,
    private readonly onTaken: (key: InstanceKey) => void = () => undefined,
  ) {
    this.own = Object.assign(new Registration(self, true), { wanted: self });
    this.all.set(instanceKeyText(self), this.own);
  }

  /** The process itself, as it shall be registered. */
  get self(): Instance {
    return this.own.wanted;
  }

  /** Instances that are kept track of. */
  get size(): number {
    return this.all.size;
  }

  /** Whether all that hung on the lease before hangs on the present one. */
  get isRestored(): boolean {
    return this.leaseId !== undefined && this.toRestore.size === 0;
  }

  /** Whether somebody waits for something that is due. */
  get isAwaited(): boolean {
    for (const { isAwaited } of this.due) if (isAwaited) return true;
    return false;
  }

  /** When there may be something to send although nothing happens. */
  get dueAtMs(): number | undefined {
    const [first] = this.doubts;
    return first?.doubtUntilMs;
  }

  /** A new lease, under which `registered` is all that the registry has. */
  begin(leaseId: bigint, registered: Instance): void {
    this.end();
    this.leaseId = leaseId;
    this.own.known = registered;
    for (const each of this.all.values()) {
      this.look(each);
      if (each !== this.own) this.toRestore.add(each);
    }
  }

  /** The lease is gone, with all that hung on it. Who waits for a registration hears NOT_JOINED; all else is done by that. */
  end(): void {
    this.leaseId = undefined;
    for (const set of [this.due, this.doubts, this.toRestore]) set.clear();
    for (const each of this.all.values()) each.forget();
    for (const each of this.all.values()) {
      if (each.put !== undefined) this.giveUp(each.put, notJoined());
      each.conclude();
      this.look(each);
    }
  }

  /** These shall be registered, all or none; of those with one key, the last. @throws UNAVAILABLE / NOT_JOINED without a lease. */
  want(instances: readonly Instance[], asker: Asker): void {
    if (!this.isRestored) throw notJoined();
    const byKey = new Map(instances.map((instance) => [instanceKeyText(instance), instance]));
    const wanted = [...byKey.values()];
    const registrations = wanted.map((instance) => this.registration(instance));
    for (const { put } of registrations) if (put !== undefined) this.giveUp(put, withdrawn());
    const put = { registrations, before: registrations.map(({ wanted }) => wanted), asker };
    registrations.forEach((each, index) => {
      each.put = put;
      this.change(each, wanted[index]);
    });
  }

  /** These, which the process itself is not among, shall not be registered any more. Done at once where none can be. */
  unwant(keys: readonly InstanceKey[], asker: Asker): void {
    const registrations = keys.flatMap((key) => this.all.get(instanceKeyText(key)) ?? []).filter((each) => each !== this.own);
    for (const each of registrations) {
      if (each.put !== undefined) this.giveUp(each.put, withdrawn());
      this.change(each, undefined);
    }
    this.wait(registrations, asker);
  }

  /** The process shall have this status. One that may not follow that which it shall have now is ignored: who drains does not come up again. */
  become(status: InstanceStatus, asker: Asker): void {
    const { self } = this;
    if (status !== self.status && mayBecome(self.status, status)) this.change(this.own, { ...self, status });
    this.wait([this.own], asker);
  }

  /** What to send now; undefined: nothing. What has been due longest comes first, and of the same kind as much as goes into one call. */
  next(nowMs: number): Write | undefined {
    if (this.leaseId === undefined) return undefined;
    this.endDoubts(nowMs);
    const chosen = nextBatch(this.due);
    const [first] = chosen;
    if (first === undefined) return undefined;
    const { kind } = first;
    const changes = [...chosen].map(({ key, wanted, known }) => ({ key, instance: wanted, before: known }));
    for (const each of chosen) each.known = 'unknown';
    return { kind, leaseId: this.leaseId, sentAtMs: nowMs, changes };
  }

  /** The registry has taken it. */
  acknowledged(write: Write): void {
    const sent = this.sent(write);
    for (const { registration, instance } of sent) {
      registration.known = instance ?? 'nothing';
      registration.alone = false;
    }
    for (const { registration } of sent) {
      const { put } = registration;
      if (put?.registrations.every(({ isThere }) => isThere)) {
        for (const each of put.registrations) each.put = undefined;
        put.asker.done();
      }
      this.look(registration);
    }
  }

  /** The registry has refused it, and nothing has changed there. Whether there is something else to be sent now; else the same, later. */
  refused(write: Write, error: unknown): boolean {
    const sent = this.sent(write);
    for (const { registration, before } of sent) {
      registration.known = before;
      this.look(registration);
    }
    const taken = sent.find(({ registration: { key } }) => saysTaken(error, key));
    const calls = new Set(sent.map(({ registration }) => registration.put ?? registration));
    if (taken === undefined && calls.size > 1) {
      for (const { registration } of sent) registration.alone = true;
      return true;
    }
    const blamed = taken ?? sent[0];
    // What has been asked for since was not tried yet.
    if (blamed === undefined || blamed.registration.wanted !== blamed.instance) return true;
    const { registration } = blamed;
    if (registration.put !== undefined) this.giveUp(registration.put, error);
    else if (saysNotThere(error, write.kind)) {
      registration.known = 'nothing';
      this.look(registration);
    } else if (taken !== undefined && registration !== this.own) {
      this.change(registration, undefined);
      this.onTaken(registration.key);
    } else {
      this.failed(write, error);
      return false;
    }
    return true;
  }

  /** Nobody knows what became of it. Who waits hears so; what is kept is tried again. */
  unanswered(write: Write, error: unknown): void {
    for (const { registration } of this.sent(write)) {
      registration.doubtUntilMs = write.sentAtMs + IN_DOUBT_MS;
      this.doubts.delete(registration);
      this.doubts.add(registration);
    }
    this.failed(write, error);
  }

  private failed(write: Write, error: unknown): void {
    for (const { registration, instance } of this.sent(write)) {
      // What has been asked for since was not tried yet.
      if (registration.wanted === instance) {
        if (registration.put !== undefined) this.giveUp(registration.put, error);
        registration.conclude({ error });
      }
      this.due.delete(registration);
      this.look(registration);
    }
  }

  /** What can no longer change behind our back is not known until it has been sent once more. */
  private endDoubts(nowMs: number): void {
    for (const each of this.doubts) {
      if (each.doubtUntilMs > nowMs) return;
      this.doubts.delete(each);
      each.known = 'unknown';
      this.look(each);
    }
  }

  private sent({ leaseId, changes }: Write) {
    if (leaseId !== this.leaseId) return [];
    return changes.flatMap(({ key, instance, before }) => {
      const registration = this.all.get(instanceKeyText(key));
      return registration === undefined ? [] : [{ registration, instance, before }];
    });
  }

  private registration(key: InstanceKey): Registration {
    return this.all.get(instanceKeyText(key)) ?? new Registration(key);
  }

  private change(registration: Registration, wanted: Instance | undefined): void {
    registration.wanted = wanted;
    // What they waited for is not wanted any more.
    registration.conclude();
    this.look(registration);
  }

  /** Takes back what a call asked for. */
  private giveUp({ registrations, before, asker }: Put, error: unknown): void {
    registrations.forEach((each, index) => {
      each.put = undefined;
      this.change(each, before[index]);
    });
    asker.failed(error);
  }

  private wait(registrations: readonly Registration[], asker: Asker): void {
    const left = new Set(this.leaseId === undefined ? [] : registrations.filter(({ isThere }) => !isThere));
    if (left.size === 0) asker.done();
    for (const each of left) each.await({ left, asker });
  }

  /** Notes whether there is something to do about it, and forgets it where there never will be. */
  private look(registration: Registration): void {
    const { isThere, wanted, put, key } = registration;
    if (isThere) registration.conclude();
    if (isThere || wanted === undefined) this.toRestore.delete(registration);
    if (this.leaseId !== undefined && (!isThere || put !== undefined)) this.due.add(registration);
    else this.due.delete(registration);
    if (isThere && wanted === undefined && !this.doubts.has(registration)) this.all.delete(instanceKeyText(key));
    else this.all.set(instanceKeyText(key), registration);
  }
}
