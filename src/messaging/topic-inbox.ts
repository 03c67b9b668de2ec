import { HELD_OVERHEAD_BYTES } from '../core/bytes.js';
import { TroupeError } from '../core/errors.js';
import { Fifo } from '../core/fifo.js';
import type { Delivery, Recipient } from '../runtime/delivery.js';

export const MAX_WAITING = 1_000;
export const MAX_WAITING_BYTES = 8 * 1024 * 1024;
const MAX_ALL_BYTES = 128 * 1024 * 1024;

/** What all inboxes of a process hold together, at most 128 MiB. */
export class InboxSpace {
  bytes = 0;

  hasRoomFor(bytes: number): boolean {
    return this.bytes + bytes <= MAX_ALL_BYTES;
  }
}

interface Waiting {
  readonly delivery: Delivery;
  readonly bytes: number;
}

/**
 * What was broadcast to one reader and waits for it: 1,000 messages, 8 MiB together. A message that does not fit is refused: its sender hears
 * so. What waits when the reader has gone is told to be lost.
 */
export class TopicInbox implements Recipient {
  private readonly waiting = new Fifo<Waiting>();
  private bytes = 0;
  private end: { readonly error: TroupeError } | 'closed' | undefined;
  private wake: () => void = () => undefined;

  constructor(
    readonly id: string,
    private readonly space: InboxSpace,
  ) {}

  offer(delivery: Delivery): undefined | TroupeError {
    if (this.end !== undefined) return this.gone();
    const bytes = sizeOf(delivery);
    if (this.waiting.size >= MAX_WAITING || this.bytes + bytes > MAX_WAITING_BYTES || !this.space.hasRoomFor(bytes)) {
      return new TroupeError(
        'RESOURCE_EXHAUSTED',
        'MAILBOX_FULL',
        `the subscriber "${this.id}" does not read as fast as it is sent to: ${this.waiting.size} messages wait for it`,
        { metadata: { agent_id: this.id } },
      );
    }
    delivery.content.retain();
    this.waiting.push({ delivery, bytes });
    this.count(bytes);
    this.wake();
    return undefined;
  }

  /** Nothing more is taken; what waits is still read, then the reader's next step throws `error`. */
  fail(error: TroupeError): void {
    this.end ??= { error };
    this.wake();
  }

  /** The reader has gone. */
  close(): void {
    this.end = 'closed';
    for (const { delivery, bytes } of this.waiting.clear()) {
      this.count(-bytes);
      delivery.origin.lost(delivery, this.gone(), this.id);
    }
    this.wake();
  }

  /** What comes, for one reader. Ends with `close`. */
  async *deliveries(): AsyncGenerator<Delivery, void, undefined> {
    for (;;) {
      const next = this.waiting.shift();
      if (next !== undefined) {
        this.count(-next.bytes);
        yield next.delivery;
      } else if (this.end === 'closed') return;
      else if (this.end !== undefined) throw this.end.error;
      else
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
    }
  }

  private count(bytes: number): void {
    this.bytes += bytes;
    this.space.bytes += bytes;
  }

  private gone(): TroupeError {
    return new TroupeError('NOT_FOUND', 'UNKNOWN_AGENT', `the subscriber "${this.id}" has gone`, {
      metadata: { agent_id: this.id },
    });
  }
}

function sizeOf({ content, topic, from, headers }: Delivery): number {
  let bytes = HELD_OVERHEAD_BYTES + content.length + topic.length + from.length;
  for (const [key, value] of headers) bytes += key.length + value.length;
  return bytes;
}
