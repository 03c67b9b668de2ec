import { invalidArgument } from '../core/errors.js';
import type { RoutedBatch, RoutedEnvelope } from '../gen/troupe/internal/v1/session.js';
import { EnvelopeKind } from '../gen/troupe/v1/envelope.js';
import type { Credit } from '../gen/troupe/v1/messaging.js';
import { Inbox } from '../link/inbox.js';
import { MAX_CREDIT, type Outbox } from '../link/outbox.js';
import { frameBytes } from '../link/session-frames.js';
import { unknownCorrelation } from './agent-answers.js';
import type { AttachedAgent } from './attached-agent.js';
import type { ProgramRequests } from './program-requests.js';
import * as refusals from './session-errors.js';

interface TrafficParts {
  /** The program's. */
  readonly id: string;
  readonly outbox: Outbox;
  readonly requests: ProgramRequests;
  readonly agent: AttachedAgent | undefined;
  /** Whether the session has ended. */
  readonly isOver: () => boolean;
}

const MAX_CORRELATION_ID = BigInt(Number.MAX_SAFE_INTEGER);

/** The envelopes of a session, both ways, and the credit for them. */
export class SessionTraffic {
  private readonly inbox = new Inbox();

  constructor(private readonly parts: TrafficParts) {}

  /** Number of the last batch that came. */
  get received(): number {
    return this.inbox.received;
  }

  /** The next frame for the program; undefined where there is none, or none may go. */
  next(): Buffer | undefined {
    const credit = this.inbox.takeCredit();
    if (credit === undefined) return this.parts.outbox.next();
    const { envelopes, received } = credit;
    return frameBytes({ $case: 'credit', value: { envelopes, received: BigInt(received) } });
  }

  /** A new stream. False where the program cannot have received what it says. */
  restart(received: number, credit: number): boolean {
    if (!this.parts.outbox.restart(received, credit)) return false;
    this.inbox.restart();
    return true;
  }

  /** @throws TroupeError: what the program must not send. */
  batch({ envelopes, sequence }: RoutedBatch, bytes: number): void {
    if (!this.inbox.accept(Number(sequence), envelopes.length, bytes)) return;
    for (const envelope of envelopes) this.envelope(envelope);
  }

  /** @throws INVALID_ARGUMENT / WRONG_CREDIT. */
  credit({ envelopes, received }: Credit): void {
    const { outbox } = this.parts;
    if (envelopes === 0 && received === 0n) throw refusals.wrongCredit('gives nothing');
    if (!outbox.addCredit(envelopes)) throw refusals.wrongCredit(`is more than ${MAX_CREDIT} together`);
    if (!outbox.acknowledge(Number(received))) throw refusals.wrongCredit('acknowledges a batch that was not sent');
  }

  private envelope(envelope: RoutedEnvelope): void {
    const { id, requests, agent, isOver } = this.parts;
    // One before it may have ended the session.
    if (isOver()) return;
    if (envelope.from !== '' && envelope.from !== id) throw refusals.forgedSender(envelope.from, id);
    if (envelope.correlationId > MAX_CORRELATION_ID) throw invalidArgument('correlation_id', 'must be at most 2^53 - 1');
    switch (envelope.kind) {
      case EnvelopeKind.ENVELOPE_KIND_SEND:
      case EnvelopeKind.ENVELOPE_KIND_REQUEST:
      case EnvelopeKind.ENVELOPE_KIND_TASK:
      case EnvelopeKind.ENVELOPE_KIND_CANCEL:
      case EnvelopeKind.ENVELOPE_KIND_DEMAND:
        requests.receive(envelope);
        return;
      case EnvelopeKind.ENVELOPE_KIND_RESPONSE:
      case EnvelopeKind.ENVELOPE_KIND_ERROR:
      case EnvelopeKind.ENVELOPE_KIND_ACK:
      case EnvelopeKind.ENVELOPE_KIND_RESULT:
      case EnvelopeKind.ENVELOPE_KIND_CHUNK:
      case EnvelopeKind.ENVELOPE_KIND_PROGRESS:
        if (agent === undefined) throw unknownCorrelation(envelope.correlationId);
        agent.receive(envelope);
        return;
      default:
        throw invalidArgument('kind', 'is not a kind of envelope that this version knows');
    }
  }
}
