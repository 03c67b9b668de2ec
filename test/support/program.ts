import { Client, type ClientDuplexStream, credentials, type ServiceError } from '@grpc/grpc-js';
import { TroupeError } from '../../src/core/errors.js';
import { type Envelope, EnvelopeKind, Envelope as EnvelopeMessage } from '../../src/gen/troupe/v1/envelope.js';
import { Batch, ConnectRequest, ConnectResponse, Hello, type Welcome } from '../../src/gen/troupe/v1/messaging.js';
import { fromServiceError } from '../../src/rpc/status.js';
import { cleanUp } from './clean-up.js';
import { eventually } from './eventually.js';

type Frame = NonNullable<ConnectResponse['frame']>;
type FrameOf<C extends Frame['$case']> = Extract<Frame, { $case: C }>;
type Sent = NonNullable<ConnectRequest['frame']>;

/** A program at the wire: says what a test wants it to say, and keeps what it hears. */
export class TestProgram {
  readonly frames: Frame[] = [];
  /** How its stream ended; undefined as long as it has not. `code` is OK for one that ended in order. */
  ended: { readonly code: string; readonly reason: string; readonly error: TroupeError | undefined } | undefined;
  private readonly client: Client;
  private readonly stream: ClientDuplexStream<Buffer, Buffer>;

  constructor(address: string, client?: Client) {
    this.client = client ?? new Client(address, credentials.createInsecure(), { 'grpc.use_local_subchannel_pool': 1 });
    const identity = (bytes: Buffer) => bytes;
    this.stream = this.client.makeBidiStreamRequest('/troupe.v1.Messaging/Connect', identity, identity);
    this.stream.on('data', (bytes: Buffer) => {
      const { frame } = ConnectResponse.decode(bytes);
      if (frame !== undefined) this.frames.push(frame);
    });
    this.stream.on('error', (error: ServiceError) => {
      const read = fromServiceError(error);
      this.ended = { code: read.code, reason: read.reason, error: read };
    });
    this.stream.on('status', ({ code }) => {
      if (code === 0) this.ended = { code: 'OK', reason: '', error: undefined };
    });
    cleanUp(() => {
      this.stream.cancel();
      if (client === undefined) this.client.close();
    });
  }

  send(frame: Sent): void {
    this.raw(Buffer.from(ConnectRequest.encode({ frame }).finish()));
  }

  raw(bytes: Buffer): void {
    this.stream.write(bytes);
  }

  async hello(hello: Parameters<typeof Hello.fromPartial>[0] = {}): Promise<Welcome> {
    this.send({ $case: 'hello', value: Hello.fromPartial(hello) });
    return (await this.frame('welcome')).value;
  }

  /** Sends envelopes as one batch. */
  batch(envelopes: readonly Parameters<typeof EnvelopeMessage.fromPartial>[0][], sequence = 0n): void {
    const value = Batch.fromPartial({ envelopes: envelopes.map((each) => EnvelopeMessage.fromPartial(each)), sequence });
    this.send({ $case: 'batch', value });
  }

  credit(envelopes: number, received = 0n): void {
    this.send({ $case: 'credit', value: { envelopes, received } });
  }

  /** All envelopes that came. */
  get envelopes(): Envelope[] {
    return this.batches.flatMap(({ envelopes }) => envelopes);
  }

  get batches(): Batch[] {
    return this.frames.flatMap((frame) => (frame.$case === 'batch' ? [frame.value] : []));
  }

  /** Number of the last batch that came. */
  get received(): bigint {
    return this.batches.at(-1)?.sequence ?? 0n;
  }

  /** The first frame of a kind, past or to come. */
  async frame<C extends Frame['$case']>(kind: C): Promise<FrameOf<C>> {
    const found = await eventually(() => {
      if (this.ended?.error !== undefined) return this.ended.error;
      const frame = this.frames.find((each) => each.$case === kind);
      if (frame === undefined) throw new Error(`no frame ${kind}`);
      return frame as FrameOf<C>;
    });
    if (found instanceof TroupeError) throw found;
    return found;
  }

  /** The first envelope that matches, past or to come. */
  envelope(kind: EnvelopeKind, matches: (envelope: Envelope) => boolean = () => true): Promise<Envelope> {
    return eventually(() => {
      const found = this.envelopes.find((envelope) => envelope.kind === kind && matches(envelope));
      if (found === undefined) throw new Error(`no envelope ${EnvelopeKind[kind]}; ended: ${JSON.stringify(this.ended)}`);
      return found;
    });
  }

  /** How its stream ends. */
  end(): Promise<NonNullable<TestProgram['ended']>> {
    return eventually(() => {
      if (this.ended === undefined) throw new Error('its stream has not ended');
      return this.ended;
    });
  }

  /** Ends its side in order. */
  halfClose(): void {
    this.stream.end();
  }

  /** Breaks the stream, as a lost connection does. */
  break(): void {
    this.stream.cancel();
  }

  /** Reads nothing more. */
  pause(): void {
    this.stream.pause();
  }

  resume(): void {
    this.stream.resume();
  }
}

export const text = (value: string) => ({ content: { $case: 'text' as const, value }, contentType: '' });

export function textOf(envelope: Envelope | undefined): string {
  const payload = envelope?.payload ?? envelope?.result?.payload ?? envelope?.task?.payload;
  return payload?.content?.$case === 'text' ? payload.content.value : '';
}

export const KIND = {
  send: EnvelopeKind.ENVELOPE_KIND_SEND,
  request: EnvelopeKind.ENVELOPE_KIND_REQUEST,
  response: EnvelopeKind.ENVELOPE_KIND_RESPONSE,
  error: EnvelopeKind.ENVELOPE_KIND_ERROR,
  ack: EnvelopeKind.ENVELOPE_KIND_ACK,
  task: EnvelopeKind.ENVELOPE_KIND_TASK,
  result: EnvelopeKind.ENVELOPE_KIND_RESULT,
  chunk: EnvelopeKind.ENVELOPE_KIND_CHUNK,
  progress: EnvelopeKind.ENVELOPE_KIND_PROGRESS,
  cancel: EnvelopeKind.ENVELOPE_KIND_CANCEL,
  demand: EnvelopeKind.ENVELOPE_KIND_DEMAND,
} as const;
