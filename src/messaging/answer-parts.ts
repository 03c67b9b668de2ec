import type { Reply } from '../agent/messages.js';
import type { TroupeError } from '../core/errors.js';
import { Parts } from '../core/parts.js';
import type { Content } from '../runtime/delivery.js';
import type { PendingMessage, Waiter } from './outgoing.js';
import { ContentReply } from './reply.js';

/** The answer to a request, in parts, as the router brings it. */
export class AnswerParts implements Waiter {
  private readonly parts = new Parts<Reply>();

  /** `from`: who is asked. */
  constructor(private readonly from: string) {}

  answered(content: Content | undefined, from: string): void {
    this.parts.answered(new ContentReply(content, from));
  }

  failed(error: TroupeError): void {
    this.parts.failed(error);
  }

  part(_sequence: number, content: Content): void {
    this.parts.part(new ContentReply(content, this.from));
  }

  read(pending: PendingMessage, signal: AbortSignal | undefined): AsyncGenerator<Reply, Reply, undefined> {
    return this.parts.read(pending, signal);
  }
}
