import type { IEvent } from 'etcd3';
import { decodeEntry } from './etcd-encoding.js';
import type { StoreChange } from './store.js';

export interface RevisionGroup {
  readonly revision: bigint;
  readonly changes: readonly StoreChange[];
}

/**
 * Puts the events of a watch together by the revision that made them, also when etcd splits a revision over several
 * answers (`fragment`): the last group stays open until an answer says that nothing more of it comes.
 */
export class RevisionGroups {
  private open: { readonly revision: bigint; readonly changes: StoreChange[] } | undefined;

  /** Events up to and with `afterRevision` are dropped. */
  constructor(private readonly afterRevision: bigint) {}

  /** The groups that `events` complete. `fragment`: the next answer goes on where this one stops. */
  add(events: readonly IEvent[], fragment: boolean): RevisionGroup[] {
    const complete: RevisionGroup[] = [];
    for (const { type, kv } of events) {
      const revision = BigInt(kv.mod_revision);
      if (revision <= this.afterRevision) continue;
      if (this.open !== undefined && this.open.revision !== revision) complete.push(this.open);
      if (this.open?.revision !== revision) this.open = { revision, changes: [] };
      this.open.changes.push(
        type === 'Delete' ? { kind: 'delete', key: kv.key.toString('utf8') } : { kind: 'put', entry: decodeEntry(kv) },
      );
    }
    if (!fragment && this.open !== undefined) {
      complete.push(this.open);
      this.open = undefined;
    }
    return complete;
  }
}
