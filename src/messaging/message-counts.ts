import { TroupeError } from '../core/errors.js';
import type { Delivery, Recipient } from '../runtime/delivery.js';

/** What became of messages that were offered to agents and clients of this process, since it started. */
export class MessageCounts {
  private readonly send = outcomes();
  private readonly request = outcomes();
  private readonly broadcast = outcomes();

  offered(delivery: Delivery, answer: ReturnType<Recipient['offer']>): void {
    const counts = delivery.topic === '' ? this[delivery.kind] : this.broadcast;
    if (answer === undefined) counts.taken += 1;
    else if (answer instanceof TroupeError) counts.refused += 1;
    // Its mailbox is full: the sender waits for room, and it is offered again.
    else counts.parked += 1;
  }

  /** By kind and outcome. */
  *readings(): Generator<readonly [labels: readonly string[], value: number]> {
    for (const kind of ['send', 'request', 'broadcast'] as const)
      for (const [outcome, count] of Object.entries(this[kind])) if (count > 0) yield [[kind, outcome], count];
  }
}

function outcomes() {
  return { taken: 0, parked: 0, refused: 0 };
}
