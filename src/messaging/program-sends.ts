import { asBuffer } from '../core/bytes.js';
import { type FieldViolation, invalidArgument, invalidFields, type TroupeError } from '../core/errors.js';
import { MAX_PAYLOAD_BYTES, payloadTooLarge } from '../core/payload.js';
import { topicViolation } from '../core/topic.js';
import type { RoutedEnvelope } from '../gen/troupe/internal/v1/session.js';
import { EnvelopeKind } from '../gen/troupe/v1/envelope.js';
import { FrameContent } from '../link/frame-content.js';
import { toStatusMessage } from '../rpc/status.js';
import { headerViolations } from './headers.js';
import type { OutgoingMessage, Waiter } from './outgoing.js';
import {
  DEFAULT_DEMAND,
  demandOf,
  effectiveDeadlineOf,
  type OpenRequest,
  type ProgramPort,
  type ProgramRequestDeps,
} from './program-port.js';

/** Keeps what a program waits for. */
export interface OpenRequests {
  began(id: bigint, request: OpenRequest, bytes: number): void;
  /** Whether the program still waits for it. */
  ended(id: bigint): boolean;
}

const MAX_ID_CHARS = 63;

/** The messages and requests that an attached program sends. */
export class ProgramSends {
  constructor(
    private readonly program: ProgramPort,
    private readonly deps: ProgramRequestDeps,
    private readonly open: OpenRequests,
  ) {}

  /** `refusal`: why it is not sent. @throws INVALID_ARGUMENT: what the program must not send. */
  receive(envelope: RoutedEnvelope, refusal: TroupeError | undefined): void {
    const isRequest = envelope.kind === EnvelopeKind.ENVELOPE_KIND_REQUEST;
    const message = this.messageOf(envelope, isRequest);
    const { length } = envelope.payload;
    const why = length > MAX_PAYLOAD_BYTES ? payloadTooLarge(length) : refusal;
    if (why !== undefined) this.failed(envelope, why);
    else if (isRequest) this.request(envelope, message);
    else if (message.topic === '') this.send(envelope, message);
    else this.broadcast(envelope, message);
  }

  private send(envelope: RoutedEnvelope, message: OutgoingMessage): void {
    const { correlationId } = envelope;
    if (correlationId === 0n) {
      this.deps.messages.send(message, NOBODY);
      return;
    }
    const acknowledged = () => this.program.send({ kind: EnvelopeKind.ENVELOPE_KIND_ACK, correlationId });
    this.wait(envelope, (waiter) => this.deps.messages.send(message, waiter), acknowledged);
  }

  private request(envelope: RoutedEnvelope, message: OutgoingMessage): void {
    const { correlationId } = envelope;
    const answered: Waiter['answered'] = (content, from) => {
      const payload = content === undefined ? NOTHING : asBuffer(content.bytes());
      this.program.send({ kind: EnvelopeKind.ENVELOPE_KIND_RESPONSE, correlationId, from, payload });
    };
    this.wait(envelope, (waiter) => this.deps.messages.request(message, waiter), answered);
  }

  private broadcast(envelope: RoutedEnvelope, message: OutgoingMessage): void {
    const { correlationId } = envelope;
    if (correlationId !== 0n) this.open.began(correlationId, UNSTOPPABLE, envelope.payload.length);
    this.deps.messages.broadcast(message).then(
      ({ delivered }) => {
        if (correlationId === 0n || !this.open.ended(correlationId)) return;
        const receipts = { delivered: [] as string[], refused: [] as string[], list: 0 };
        for (const [id, isThere] of delivered) (isThere ? receipts.delivered : receipts.refused).push(id);
        this.program.send({ kind: EnvelopeKind.ENVELOPE_KIND_ACK, correlationId, receipts });
      },
      (error: TroupeError) => {
        if (correlationId !== 0n && this.open.ended(correlationId)) this.failed(envelope, error);
      },
    );
  }

  /** Sends it, and tells the program what became of it. */
  private wait(envelope: RoutedEnvelope, begin: (waiter: Waiter) => OpenRequest, onAnswer: Waiter['answered']): void {
    const { correlationId } = envelope;
    let pending: OpenRequest | undefined;
    // Also before `begin` returns.
    const request: OpenRequest = { cancel: (error) => pending?.cancel(error), demand: (parts) => pending?.demand(parts) };
    this.open.began(correlationId, request, envelope.payload.length);
    pending = begin({
      answered: (content, from) => {
        if (this.open.ended(correlationId)) onAnswer(content, from);
      },
      failed: (error) => {
        if (this.open.ended(correlationId)) this.failed(envelope, error);
      },
      part: (sequence, content) =>
        this.program.send({
          kind: EnvelopeKind.ENVELOPE_KIND_CHUNK,
          correlationId,
          sequence: BigInt(sequence),
          payload: asBuffer(content.bytes()),
        }),
    });
  }

  private failed({ kind, correlationId }: RoutedEnvelope, error: TroupeError): void {
    if (correlationId === 0n) return;
    const isRequest = kind === EnvelopeKind.ENVELOPE_KIND_REQUEST;
    const answer = isRequest ? EnvelopeKind.ENVELOPE_KIND_ERROR : EnvelopeKind.ENVELOPE_KIND_ACK;
    this.program.send({ kind: answer, correlationId, error: toStatusMessage(error) });
  }

  private messageOf(envelope: RoutedEnvelope, isRequest: boolean): OutgoingMessage {
    check(envelope, isRequest);
    const { to, topic, payload, id, headers, waitForRoom, atLeastOnce, streaming } = envelope;
    return {
      from: this.program.id,
      to,
      topic,
      content: new FrameContent(payload, 0, payload.length),
      deadlineMs: effectiveDeadlineOf(envelope, this.deps.now()),
      id,
      headers,
      waitForRoom,
      atLeastOnce,
      demand: isRequest && streaming ? demandOf(envelope, DEFAULT_DEMAND) : 0,
    };
  }
}

/** A broadcast: it has left at once. */
const UNSTOPPABLE: OpenRequest = { cancel: () => undefined, demand: () => undefined };
const NOTHING = Buffer.alloc(0);
const NOBODY: Waiter = { answered: () => undefined, failed: () => undefined };

/** @throws INVALID_ARGUMENT naming every wrong field. */
function check({ to, topic, id, atLeastOnce, headers }: RoutedEnvelope, isRequest: boolean): void {
  if (isRequest && (to === '' || topic !== ''))
    throw invalidArgument('to', 'is required for a REQUEST, and `topic` must be empty');
  if (!isRequest && (to === '') === (topic === ''))
    throw invalidArgument('to', 'exactly one of `to` and `topic` must be given for a SEND');
  const violations: FieldViolation[] = [];
  const wrongTopic = topic === '' ? undefined : topicViolation('topic', topic);
  if (wrongTopic !== undefined) violations.push(wrongTopic);
  if (id.length > MAX_ID_CHARS) violations.push({ field: 'id', description: `must be at most ${MAX_ID_CHARS} characters` });
  if (atLeastOnce && id === '') violations.push({ field: 'id', description: 'is required by at_least_once' });
  violations.push(...headerViolations('headers', headers));
  if (violations.length > 0) throw invalidFields(violations);
}
