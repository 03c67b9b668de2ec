import type { TroupeError } from '../core/errors.js';
import type { Peer } from '../link/peer.js';

/** A message that was passed on, and perhaps has not left yet. */
export interface Forwarded {
  readonly peer: Peer;
  readonly frame: number;
  /** It will not leave: its sender is told. */
  refuse(error: TroupeError): void;
}

const MIN_SWEEP = 64;

/** Messages that were passed on, until they have left: nobody else knows of one whose link does not come about. */
export class Forwards {
  private waiting: Forwarded[] = [];
  private sweepAt = MIN_SWEEP;

  add(forwarded: Forwarded): void {
    this.waiting.push(forwarded);
    if (this.waiting.length < this.sweepAt) return;
    this.waiting = this.waiting.filter(({ peer, frame }) => peer.holds(frame));
    this.sweepAt = Math.max(MIN_SWEEP, this.waiting.length * 2);
  }

  /** The link broke: what was written on it is not waited for. */
  broken(peer: Peer): void {
    this.waiting = this.waiting.filter((each) => each.peer !== peer || peer.holds(each.frame));
  }

  /** Takes those that will not be sent to `peer`. */
  unsent(peer: Peer): Forwarded[] {
    const unsent = this.waiting.filter((each) => each.peer === peer && peer.holds(each.frame));
    this.waiting = this.waiting.filter((each) => each.peer !== peer);
    return unsent;
  }
}
