import type { Subscription } from '../agent/messages.js';
import type { Clock } from '../core/clock.js';
import { invalidFields, TroupeError } from '../core/errors.js';
import { patternViolation } from '../core/topic.js';

export interface Change {
  /** Its answer has the same. */
  readonly id: bigint;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
}

/** Tells the node of a change; in vain where the stream breaks. */
export type SayChange = (change: Change) => void;

/** In a hello, and in one change. */
export const TOPICS_AT_ONCE = 64;
const MAX_TOPICS = 1_000;
/** How long the cluster has to take a subscription. */
const SUBSCRIBE_MS = 30_000;
/** A topic that was refused is tried again after this. */
const AGAIN_MS = 1_000;

interface Waiter {
  resolve(): void;
  reject(error: TroupeError): void;
}

interface Wish {
  /** Those who want it, or wait for it. */
  holders: number;
  /** Not before, where it was refused. */
  retryAtMs: number;
  readonly waiters: Set<Waiter>;
}

type Line =
  /** No session that is attached. */
  | { readonly kind: 'down' }
  | { readonly kind: 'idle'; readonly say: SayChange }
  /** One change at a time: the answer to this one is awaited. */
  | { readonly kind: 'changing'; readonly say: SayChange; readonly change: Change };

/**
 * What an attached agent is subscribed to, over all of its sessions: brings what the node says it has into step with what is wanted, one change after
 * the other. What is refused pauses for a moment and waits behind all else, which goes on.
 */
export class ProgramSubscriptions {
  /** In the order in which they are said: one that is refused goes to the end, so the first of those that pause is the first to be due. */
  private readonly wishes = new Map<string, Wish>();
  /** What the node says that the agent is subscribed to. */
  private held: ReadonlySet<string> = new Set();
  private line: Line = { kind: 'down' };
  private lastId = 0n;
  private disarm: () => void = () => undefined;
  private end: TroupeError | undefined;

  /** `topics`: those of the hello, wanted as long as the agent lives. */
  constructor(
    topics: readonly string[],
    private readonly clock: Clock,
  ) {
    for (const topic of topics) this.wishes.set(topic, { ...newWish(), holders: 1 });
  }

  /** What a new session begins with. */
  get helloTopics(): string[] {
    return [...this.wishes.keys()].slice(0, TOPICS_AT_ONCE);
  }

  /** Resolves when the cluster knows, also over a session to come. @throws INVALID_ARGUMENT, RESOURCE_EXHAUSTED / TOO_MANY_TOPICS, UNAVAILABLE, what ended the agent. */
  async add(pattern: string): Promise<Subscription> {
    const violation = patternViolation('topic', pattern);
    if (violation !== undefined) throw invalidFields([violation]);
    if (this.end !== undefined) throw this.end;
    let wish = this.wishes.get(pattern);
    if (wish === undefined) {
      if (this.wishes.size >= MAX_TOPICS)
        throw new TroupeError('RESOURCE_EXHAUSTED', 'TOO_MANY_TOPICS', `at most ${MAX_TOPICS} topics can be subscribed to`);
      wish = newWish();
      this.wishes.set(pattern, wish);
    }
    wish.holders += 1;
    let isThere = true;
    const cancel = () => {
      if (isThere) this.drop(pattern);
      isThere = false;
    };
    try {
      if (!this.isHeld(pattern)) await this.taken(wish);
    } catch (error) {
      cancel();
      throw error;
    }
    return { pattern, cancel };
  }

  /** A session is attached: a new one, with the topics of its hello, or (undefined) one that came back. */
  attached(say: SayChange, helloTopics: readonly string[] | undefined): void {
    this.line = { kind: 'idle', say };
    if (helloTopics !== undefined) {
      this.held = new Set(helloTopics);
      this.settle();
    }
    this.step();
  }

  detached(): void {
    this.line = { kind: 'down' };
    this.disarm();
  }

  /** What the node says: in answer to change `id`, or by itself. */
  told(topics: readonly string[], id: bigint): void {
    const { line } = this;
    this.held = new Set(topics);
    this.settle();
    if (line.kind === 'changing' && line.change.id === id) {
      this.line = { kind: 'idle', say: line.say };
      for (const topic of line.change.subscribe) if (!this.held.has(topic)) this.refused(topic);
    }
    this.step();
  }

  /** The agent has ended. */
  close(error: TroupeError): void {
    this.end = error;
    this.detached();
    for (const { waiters } of [...this.wishes.values()]) for (const waiter of [...waiters]) waiter.reject(error);
  }

  private refused(topic: string): void {
    const wish = this.wishes.get(topic);
    if (wish === undefined) return;
    wish.retryAtMs = this.clock.monotonicMs() + AGAIN_MS;
    this.wishes.delete(topic);
    this.wishes.set(topic, wish);
    for (const waiter of [...wish.waiters]) waiter.reject(notTaken(topic));
  }

  private taken(wish: Wish): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = () => {
        disarm();
        wish.waiters.delete(waiter);
      };
      const waiter: Waiter = {
        resolve: () => {
          end();
          resolve();
        },
        reject: (error) => {
          end();
          reject(error);
        },
      };
      const disarm = this.clock.after(SUBSCRIBE_MS, () => waiter.reject(late()));
      wish.waiters.add(waiter);
      this.step();
    });
  }

  private isHeld(pattern: string): boolean {
    const isLeaving = this.line.kind === 'changing' && this.line.change.unsubscribe.includes(pattern);
    return this.held.has(pattern) && !isLeaving;
  }

  private drop(pattern: string): void {
    const wish = this.wishes.get(pattern);
    if (wish === undefined) return;
    wish.holders -= 1;
    if (wish.holders > 0) return;
    this.wishes.delete(pattern);
    this.step();
  }

  private settle(): void {
    for (const [pattern, { waiters }] of this.wishes)
      if (waiters.size > 0 && this.held.has(pattern)) for (const waiter of [...waiters]) waiter.resolve();
  }

  /** Says what there is to be changed, where nothing is under way, or looks again when the first pause ends. */
  private step(): void {
    const { line, held, wishes, clock } = this;
    if (line.kind !== 'idle') return;
    this.disarm();
    const nowMs = clock.monotonicMs();
    const missing = [...wishes].filter(([pattern]) => !held.has(pattern));
    const subscribe = missing.flatMap(([pattern, { retryAtMs }]) => (retryAtMs <= nowMs ? pattern : [])).slice(0, TOPICS_AT_ONCE);
    const unsubscribe = [...held].filter((pattern) => !wishes.has(pattern)).slice(0, TOPICS_AT_ONCE);
    if (subscribe.length === 0 && unsubscribe.length === 0) {
      // All that is missing pauses.
      const [next] = missing;
      if (next !== undefined) this.disarm = clock.after(next[1].retryAtMs - nowMs, () => this.step());
      return;
    }
    this.lastId += 1n;
    const change = { id: this.lastId, subscribe, unsubscribe };
    this.line = { kind: 'changing', say: line.say, change };
    line.say(change);
  }
}

function newWish(): Wish {
  return { holders: 0, retryAtMs: 0, waiters: new Set() };
}

function notTaken(topic: string): TroupeError {
  return new TroupeError('UNAVAILABLE', 'NOT_SUBSCRIBED', `the cluster did not take the subscription to "${topic}"; try again`, {
    retryAfterMs: 1_000,
  });
}

function late(): TroupeError {
  return new TroupeError(
    'UNAVAILABLE',
    'NOT_SUBSCRIBED',
    `no node has taken the subscription within ${SUBSCRIBE_MS} ms; try again`,
  );
}
