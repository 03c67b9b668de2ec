import { type Channel, Client, type ClientDuplexStream, credentials, Metadata } from '@grpc/grpc-js';
import { BatchQueue } from '../core/batch-queue.js';
import type { Clock } from '../core/clock.js';
import { deadlineExceeded, TroupeError } from '../core/errors.js';
import { ExchangeRequest, ExchangeResponse, type TaskEnvelope } from '../gen/troupe/internal/v1/link.js';
import type { RoutedExecuteTaskRequest, RoutedExecuteTaskResponse } from '../gen/troupe/internal/v1/routed.js';
import { encodeMessage } from '../rpc/encode.js';
import { fromServiceError, fromStatusMessage } from '../rpc/status.js';
import type { ExecuteOptions, Execution } from './executor.js';

const EXCHANGE = '/troupe.internal.v1.TaskLink/Exchange';
/** Of one write: both ends overlap best with about this many bytes of small envelopes. */
const BATCH_BYTES = 24 * 1024;
/** What may wait for a node that does not read: then tasks are refused, and go elsewhere. */
const QUEUE_BYTES = 8 * 1024 * 1024;
/** What an envelope needs beside the task's payload, roughly. */
const ENVELOPE_BYTES = 256;
/** Deadlines are kept to within this: the node keeps them too, and callers their own. */
const SWEEP_MS = 50;
const MAX_ID = 0xffff_ffff;

interface Pending {
  readonly deadlineMs: number;
  resolve(response: RoutedExecuteTaskResponse): void;
  reject(error: TroupeError): void;
}

/**
 * One stream to a node that carries many tasks at once, in batches. Opened with the first task, and again after it broke: what was
 * on it then has an unknown outcome, what was not written certainly did not start.
 */
export class TaskLink {
  private readonly client: Client;
  private readonly pending = new Map<number, Pending>();
  private session:
    | { readonly stream: ClientDuplexStream<Buffer, Buffer>; readonly outgoing: BatchQueue<TaskEnvelope> }
    | undefined;
  private lastId = 0;
  private cancelSweep: (() => void) | undefined;
  private refused = false;

  constructor(
    channel: Channel,
    private readonly clock: Clock,
  ) {
    this.client = new Client('', credentials.createInsecure(), { channelOverride: channel });
  }

  /** Whether the node does not know links: one that was written against the public contract alone. */
  get isUnsupported(): boolean {
    return this.refused;
  }

  execute(request: RoutedExecuteTaskRequest, { deadlineMs, traceparent = '' }: ExecuteOptions): Execution {
    const id = this.nextId();
    const response = new Promise<RoutedExecuteTaskResponse>((resolve, reject) => {
      this.pending.set(id, { deadlineMs, resolve, reject });
    });
    const bytes = (request.task?.payload.length ?? 0) + ENVELOPE_BYTES;
    if (!this.outgoing().push({ id, traceparent, content: { $case: 'execute', value: request } }, bytes)) {
      this.settle(id)?.reject(notSent('LINK_FULL', 'the link to the node is full, or ends'));
    }
    this.sweepLater();
    return { response, cancel: () => this.callOff(id, new TroupeError('CANCELLED', 'CANCELLED', 'the caller cancelled')) };
  }

  /** Ends the stream; what is on it is told `error`. */
  close(error: TroupeError): void {
    this.session?.stream.cancel();
    this.lose(error);
  }

  private nextId(): number {
    do this.lastId = this.lastId === MAX_ID ? 1 : this.lastId + 1;
    while (this.pending.has(this.lastId));
    return this.lastId;
  }

  private outgoing(): BatchQueue<TaskEnvelope> {
    this.session ??= this.open();
    return this.session.outgoing;
  }

  private open() {
    const stream = this.client.makeBidiStreamRequest(EXCHANGE, identity, identity, new Metadata());
    const session = { stream, outgoing: new BatchQueue<TaskEnvelope>({ batchBytes: BATCH_BYTES, queueBytes: QUEUE_BYTES }) };
    const end = (error: TroupeError) => {
      if (this.session === session) this.lose(error);
    };
    stream.on('data', (bytes: Buffer) => this.receive(bytes));
    stream.on('error', (error) => end(fromServiceError(error)));
    stream.on('end', () => end(new TroupeError('UNAVAILABLE', 'UNAVAILABLE', 'the node ended the link')));
    void writeAll(stream, session.outgoing);
    return session;
  }

  private receive(bytes: Buffer): void {
    for (const { id, outcome } of ExchangeResponse.decode(bytes).envelopes) {
      // The node will end: what is queued still goes there, and is answered; all else is refused here.
      if (id === 0) this.session?.outgoing.close();
      const pending = this.settle(id);
      if (outcome?.$case === 'response') pending?.resolve(outcome.value);
      else if (outcome?.$case === 'error') pending?.reject(fromStatusMessage(outcome.value));
    }
  }

  private settle(id: number): Pending | undefined {
    const pending = this.pending.get(id);
    this.pending.delete(id);
    return pending;
  }

  private callOff(id: number, error: TroupeError): void {
    const pending = this.settle(id);
    if (pending === undefined) return;
    this.session?.outgoing.push({ id, traceparent: '', content: { $case: 'cancel', value: {} } }, ENVELOPE_BYTES);
    pending.reject(error);
  }

  /** The stream is gone: the next task opens another. */
  private lose(error: TroupeError): void {
    const { session } = this;
    this.session = undefined;
    for (const { id, content } of session?.outgoing.drain() ?? []) {
      if (content?.$case === 'execute') this.settle(id)?.reject(notSent('NOT_CONNECTED', 'the link to the node broke'));
    }
    const lost = [...this.pending.values()];
    this.pending.clear();
    if (error.code === 'UNIMPLEMENTED') this.refused = true;
    const reason = this.refused ? notSent('LINK_UNSUPPORTED', 'the node takes no links') : error;
    for (const pending of lost) pending.reject(reason);
  }

  /** One timer for all deadlines, and none while nothing is under way. */
  private sweepLater(): void {
    this.cancelSweep ??= this.clock.after(SWEEP_MS, () => {
      this.cancelSweep = undefined;
      const now = this.clock.now();
      for (const [id, { deadlineMs }] of this.pending) if (deadlineMs <= now) this.callOff(id, deadlineExceeded());
      if (this.pending.size > 0) this.sweepLater();
    });
  }
}

/** The next batch is written when the one before has been: what comes meanwhile goes together. */
async function writeAll(stream: ClientDuplexStream<Buffer, Buffer>, outgoing: BatchQueue<TaskEnvelope>): Promise<void> {
  for await (const envelopes of outgoing) {
    const bytes = encodeMessage(ExchangeRequest, { envelopes });
    await new Promise<void>((resolve) => stream.write(bytes, () => resolve()));
  }
  if (!stream.destroyed) stream.end();
}

const identity = (bytes: Buffer) => bytes;

/** Only NOT_CONNECTED says that the node cannot be reached. */
function notSent(reason: 'NOT_CONNECTED' | 'LINK_FULL' | 'LINK_UNSUPPORTED', why: string): TroupeError {
  return new TroupeError('UNAVAILABLE', reason, why, { metadata: { started: 'false' } });
}
