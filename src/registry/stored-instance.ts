import type { Instance } from '../core/instance.js';
import { Instance as InstanceMessage } from '../gen/troupe/v1/instance.js';
import { instanceFromMessage } from '../rpc/codec/instance.js';
import type { StoreEntry } from '../store/store.js';

/** An instance as it stands in the store, and the lease that it hangs on. */
export interface StoredInstance {
  readonly instance: Instance;
  readonly leaseId: bigint;
}

/** What a value does not hold comes from the store: incarnation and revision are the revisions of its first and last put. */
export function readStored(entry: StoreEntry): StoredInstance {
  const message = InstanceMessage.decode(entry.value);
  return {
    instance: instanceFromMessage({ ...message, incarnation: entry.createRevision, revision: entry.modRevision }),
    leaseId: entry.leaseId,
  };
}

export function writeStored(message: InstanceMessage): Uint8Array {
  return InstanceMessage.encode(message).finish();
}
