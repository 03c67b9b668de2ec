import { aborted } from '../core/abort.js';
import { asBuffer } from '../core/bytes.js';
import type { Clock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import { EventQueue } from '../core/event-queue.js';
import { type InstanceChange, WatchResponse } from '../gen/troupe/v1/registry.js';
import { instanceToMessage } from '../rpc/codec/instance.js';
import { durationFromMs } from '../rpc/codec/time.js';
import type { Mirror, StoredChange } from './mirror.js';
import type { StoredInstance } from './stored-instance.js';

const PROGRESS_EVERY_MS = 2_000;
/** Messages that a watcher may be behind before its stream ends; it resumes with a new one. */
const MAX_BACKLOG = 2_000;
/** Changes kept for those who resume. */
const MAX_HISTORY = 10_000;
const SNAPSHOT_PART = 1_000;

interface Batch {
  /** The revision before it. */
  readonly after: bigint;
  readonly revision: bigint;
  readonly changes: readonly StoredChange[];
}

/** Watchers of the same service: each change is encoded once for all of them. */
interface Group {
  readonly service: string;
  readonly watchers: Set<EventQueue<Buffer>>;
}

/** Sends what the mirror learns to all watchers. */
export class WatchHub {
  private readonly groups = new Map<string, Group>();
  private readonly history: Batch[] = [];
  private historySize = 0;
  /** Changes after this revision are in the history. */
  private floor = 0n;
  private last = 0n;

  constructor(
    private readonly mirror: Mirror,
    private readonly clock: Clock,
  ) {
    mirror.onChange((changes, revision) => {
      this.publish({ changes, after: this.last, revision });
      this.last = revision;
    });
  }

  get watchers(): number {
    let count = 0;
    for (const group of this.groups.values()) count += group.watchers.size;
    return count;
  }

  /** Encoded WatchResponses: a snapshot or, where `fromRevision` is still known, what came after it; then every change. Ends with `signal`. */
  async *watch(service: string, fromRevision: bigint, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    const queue = new EventQueue<Buffer>(
      MAX_BACKLOG,
      () =>
        new TroupeError(
          'RESOURCE_EXHAUSTED',
          'SLOW_READER',
          `the watcher is ${MAX_BACKLOG} messages behind; resume from the last revision`,
        ),
    );
    const group = this.groups.get(service) ?? { service, watchers: new Set() };
    this.groups.set(service, group);
    // From here on nothing is missed: the catalog, the history and the queue are of the same moment.
    group.watchers.add(queue);
    const { catalog } = this.mirror;
    const missed = this.since(fromRevision, catalog.revision);
    const stop = () => queue.close();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    try {
      if (missed === undefined) yield* snapshot(catalog.revision, service === '' ? catalog.all() : catalog.ofService(service));
      else for (const batch of missed) yield* encodeBatch(batch, service);
      yield this.progress();
      yield* queue;
    } finally {
      signal.removeEventListener('abort', stop);
      group.watchers.delete(queue);
      if (group.watchers.size === 0) this.groups.delete(service);
    }
  }

  /** Tells all watchers regularly how old what they have is, until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    let cancel: () => void = () => undefined;
    const tick = () => {
      const progress = this.progress();
      for (const group of this.groups.values()) for (const watcher of group.watchers) watcher.push(progress);
      cancel = this.clock.after(PROGRESS_EVERY_MS, tick);
    };
    cancel = this.clock.after(PROGRESS_EVERY_MS, tick);
    await aborted(signal);
    cancel();
  }

  private publish(batch: Batch): void {
    this.remember(batch);
    for (const group of this.groups.values()) {
      for (const message of encodeBatch(batch, group.service)) for (const watcher of group.watchers) watcher.push(message);
    }
  }

  private remember(batch: Batch): void {
    if (this.floor === 0n) {
      // The first batch is the list of everything: nobody resumes before it.
      this.floor = batch.revision;
      return;
    }
    this.history.push(batch);
    this.historySize += weightOf(batch);
    while (this.historySize > MAX_HISTORY) {
      const oldest = this.history.shift();
      if (oldest === undefined) break;
      this.historySize -= weightOf(oldest);
      this.floor = oldest.revision;
    }
  }

  /** What happened after `revision`; undefined when that is not known (any more), or comes from a future that this store has not had. */
  private since(revision: bigint, now: bigint): readonly Batch[] | undefined {
    if (revision === 0n || revision < this.floor || revision > now) return undefined;
    return this.history.filter((batch) => batch.revision > revision);
  }

  private progress(): Buffer {
    const ageMs = this.mirror.ageMs();
    return encode({
      event: {
        $case: 'progress',
        value: { revision: this.mirror.catalog.revision, age: durationFromMs(Number.isFinite(ageMs) ? ageMs : 0) },
      },
    });
  }
}

/** Also a batch without changes takes its place. */
function weightOf({ changes }: Batch): number {
  return Math.max(1, changes.length);
}

/**
 * A batch as messages. Almost always one; a large one (everything was listed anew) is cut, and all parts but the last carry the
 * revision before the batch, so that whoever loses the stream in between gets all of it again, here or at another replica.
 */
function* encodeBatch({ after, revision, changes }: Batch, service: string): Iterable<Buffer> {
  const wanted = changes.filter(
    (change) => service === '' || service === (change.kind === 'put' ? change.known.instance.service : change.key.service),
  );
  for (let from = 0; from < wanted.length; from += SNAPSHOT_PART) {
    const part = wanted.slice(from, from + SNAPSHOT_PART).map(changeMessage);
    const isLast = from + SNAPSHOT_PART >= wanted.length;
    yield encode({ event: { $case: 'changes', value: { revision: isLast ? revision : after, changes: part } } });
  }
}

function changeMessage(change: StoredChange): InstanceChange {
  if (change.kind === 'put') return { change: { $case: 'put', value: instanceToMessage(change.known.instance) } };
  return { change: { $case: 'removed', value: { service: change.key.service, id: change.key.id } } };
}

function* snapshot(revision: bigint, all: Iterable<StoredInstance>): Iterable<Buffer> {
  let first = true;
  let part: StoredInstance[] = [];
  const flush = (last: boolean) => {
    const instances = part.map(({ instance }) => instanceToMessage(instance));
    part = [];
    const message = encode({ event: { $case: 'snapshot', value: { revision, instances, first, last } } });
    first = false;
    return message;
  };
  for (const stored of all) {
    if (part.length === SNAPSHOT_PART) yield flush(false);
    part.push(stored);
  }
  yield flush(true);
}

function encode(message: WatchResponse): Buffer {
  return asBuffer(WatchResponse.encode(message).finish());
}
