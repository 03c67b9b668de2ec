import type { EnvelopeReader } from '../link/envelope-reader.js';
import { encodeReceipts } from '../link/envelope-writer.js';
import type { Peer } from '../link/peer.js';
import type { Recipient } from '../runtime/delivery.js';

/** What the subscribers of one process made of a broadcast. */
export interface TopicReceipts {
  readonly delivered: readonly string[];
  readonly refused: readonly string[];
}

const NONE: readonly string[] = [];

/** `refused`: those that did not take it; undefined where all did. The sender is left out. */
export function receiptsOf(
  recipients: readonly Recipient[],
  from: string,
  refused: ReadonlySet<Recipient> | undefined,
): TopicReceipts {
  const delivered: string[] = [];
  const missed: string[] = [];
  for (const recipient of recipients) {
    if (recipient.id === from) continue;
    (refused?.has(recipient) ? missed : delivered).push(recipient.id);
  }
  return { delivered, refused: missed };
}

interface List {
  readonly number: number;
  readonly whole: Buffer;
  readonly short: Buffer;
}

/** Of one peer, so many lists are remembered as told; then all are told anew. */
const MAX_TOLD = 1_000;
const MAX_NUMBER = 0x7fff_ffff;

/**
 * Tells peers which subscribers took a broadcast. Mostly those of one topic are the same time after time: they are told once, with a number, and
 * then by that alone.
 */
export class SubscriberLists {
  /** By the list of recipients, which is the same until somebody comes or goes, and, where the sender is one of them, by sender. */
  private readonly lists = new WeakMap<readonly Recipient[], Map<string, List>>();
  private readonly told = new WeakMap<Peer, Set<number>>();
  private lastNumber = 0;

  /** All took it: the encoded field. */
  allTook(peer: Peer, recipients: readonly Recipient[], from: string): Buffer {
    const list = this.listOf(recipients, from);
    let told = this.told.get(peer);
    if (told === undefined) {
      told = new Set();
      this.told.set(peer, told);
    }
    if (told.has(list.number)) return list.short;
    if (told.size >= MAX_TOLD) told.clear();
    told.add(list.number);
    return list.whole;
  }

  someTook(recipients: readonly Recipient[], from: string, refused: ReadonlySet<Recipient>): Buffer {
    const { delivered, refused: missed } = receiptsOf(recipients, from, refused);
    return encodeReceipts({ delivered: [...delivered], refused: [...missed], list: 0 });
  }

  /** Its link broke: what was told is told again. */
  forget(peer: Peer): void {
    this.told.delete(peer);
  }

  private listOf(recipients: readonly Recipient[], from: string): List {
    let bySender = this.lists.get(recipients);
    if (bySender === undefined) {
      bySender = new Map();
      this.lists.set(recipients, bySender);
    }
    const common = bySender.get('');
    // Others' lists are the same for all senders but the subscribers themselves.
    if (common !== undefined && !bySender.has(from) && !recipients.some(({ id }) => id === from)) return common;
    const key = recipients.some(({ id }) => id === from) ? from : '';
    let list = bySender.get(key);
    if (list === undefined) {
      this.lastNumber = (this.lastNumber % MAX_NUMBER) + 1;
      const number = this.lastNumber;
      const delivered = [...receiptsOf(recipients, from, undefined).delivered];
      const whole = encodeReceipts({ delivered, refused: [], list: delivered.length === 0 ? 0 : number });
      const short = delivered.length === 0 ? whole : encodeReceipts({ delivered: [], refused: [], list: number });
      list = { number, whole, short };
      bySender.set(key, list);
    }
    return list;
  }
}

/** What peers told of their subscribers. */
export class KnownLists {
  private readonly byPeer = new WeakMap<Peer, Map<number, TopicReceipts>>();

  /** Undefined where it is told by a number that nobody knows. */
  read(peer: Peer, envelope: EnvelopeReader): TopicReceipts | undefined {
    const number = envelope.receiptsList();
    if (number !== 0) {
      const known = this.byPeer.get(peer)?.get(number);
      if (known !== undefined) return known;
    }
    const receipts = envelope.receipts();
    if (receipts === undefined) return undefined;
    const { delivered, refused, list } = receipts;
    if (list === 0) return { delivered, refused };
    // A list that was told before the link broke.
    if (number !== 0) return undefined;
    let lists = this.byPeer.get(peer);
    if (lists === undefined) {
      lists = new Map();
      this.byPeer.set(peer, lists);
    }
    // The oldest go first: whoever tells begins anew after half as many.
    for (const oldest of lists.keys()) {
      if (lists.size < MAX_TOLD * 2) break;
      lists.delete(oldest);
    }
    lists.delete(list);
    const told = { delivered, refused: NONE };
    lists.set(list, told);
    return told;
  }

  forget(peer: Peer): void {
    this.byPeer.delete(peer);
  }
}

/** Result of a broadcast by subscriber, made when somebody looks: most senders never do. */
export class DeliveredMap extends Map<string, boolean> {
  private waiting: TopicReceipts[] = [];

  told(receipts: TopicReceipts): void {
    this.waiting.push(receipts);
  }

  override get size(): number {
    this.fill();
    return super.size;
  }
  override get(id: string): boolean | undefined {
    this.fill();
    return super.get(id);
  }
  override has(id: string): boolean {
    this.fill();
    return super.has(id);
  }
  override forEach(callback: (value: boolean, key: string, map: Map<string, boolean>) => void): void {
    this.fill();
    super.forEach(callback);
  }
  override entries() {
    this.fill();
    return super.entries();
  }
  override keys() {
    this.fill();
    return super.keys();
  }
  override values() {
    this.fill();
    return super.values();
  }
  override [Symbol.iterator]() {
    this.fill();
    return super[Symbol.iterator]();
  }

  private fill(): void {
    if (this.waiting === undefined || this.waiting.length === 0) return;
    const { waiting } = this;
    this.waiting = [];
    for (const { delivered, refused } of waiting) {
      for (const id of delivered) if (!super.has(id)) super.set(id, true);
      for (const id of refused) super.set(id, false);
    }
  }
}
