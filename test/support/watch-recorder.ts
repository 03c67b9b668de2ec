import type { Store, StoreChange, WatchEvent } from '../../src/store/store.js';

type Changes = Extract<WatchEvent, { readonly kind: 'changes' }>;

/** Follows a watch in the background and keeps what it gave. `stop` it. */
export class WatchRecorder {
  readonly events: WatchEvent[] = [];
  /** When the last `alive` came, by `performance.now()`. */
  aliveAtMs: number | undefined;
  /** Set when the watch threw. */
  error: unknown;
  ended = false;
  private readonly controller = new AbortController();
  private readonly running: Promise<void>;

  constructor(store: Store, prefix: string, afterRevision: bigint) {
    this.running = this.run(store.watch(prefix, { afterRevision, signal: this.controller.signal }));
  }

  /** The events that are changes, one per revision. */
  get groups(): Changes[] {
    return this.events.filter((event) => event.kind === 'changes');
  }

  get changes(): StoreChange[] {
    return this.groups.flatMap(({ changes }) => changes);
  }

  get alives(): number {
    return this.events.length - this.groups.length;
  }

  /** Aborts the watch and waits for its end. */
  async stop(): Promise<void> {
    this.controller.abort();
    await this.running;
  }

  private async run(watch: AsyncIterable<WatchEvent>): Promise<void> {
    try {
      for await (const event of watch) {
        this.events.push(event);
        if (event.kind === 'alive') this.aliveAtMs = performance.now();
      }
    } catch (error) {
      this.error = error;
    }
    this.ended = true;
  }
}

export function keyOf(change: StoreChange): string {
  return change.kind === 'put' ? change.entry.key : change.key;
}
