import type { Subscription } from '../agent/messages.js';
import { invalidFields } from '../core/errors.js';
import { patternViolation } from '../core/topic.js';
import type { Recipient } from '../runtime/delivery.js';
import { TopicIndex } from './topic-index.js';

/** What this process wants, as the cluster knows it. */
export interface ProcessInterest {
  /** Resolves when the cluster knows. @throws UNAVAILABLE */
  want(pattern: string): Promise<void>;
  unwant(pattern: string): void;
}

/** What others want. */
export interface OthersInterest {
  /** Processes with subscribers, this one perhaps among them. */
  nodesFor(topic: string): readonly string[];
}

/** Who subscribes to what: here by name, elsewhere by process. */
export class Subscriptions {
  private readonly index = new TopicIndex<Recipient>();

  constructor(
    private readonly own: ProcessInterest,
    private readonly others: OthersInterest,
  ) {}

  /** @throws INVALID_ARGUMENT, UNAVAILABLE */
  async add(pattern: string, recipient: Recipient): Promise<Subscription> {
    const wrong = patternViolation('topic', pattern);
    if (wrong !== undefined) throw invalidFields([wrong]);
    this.index.add(pattern, recipient);
    let isThere = true;
    const cancel = () => {
      if (!isThere) return;
      isThere = false;
      this.index.remove(pattern, recipient);
      this.own.unwant(pattern);
    };
    try {
      await this.own.want(pattern);
    } catch (error) {
      if (isThere) this.index.remove(pattern, recipient);
      isThere = false;
      throw error;
    }
    return { pattern, cancel };
  }

  /** Those of this process who want what is broadcast to `topic`. */
  here(topic: string): readonly Recipient[] {
    return this.index.match(topic);
  }

  nodesFor(topic: string): readonly string[] {
    return this.others.nodesFor(topic);
  }
}
