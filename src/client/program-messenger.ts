import {
  MAX_HEADERS,
  type MessageOptions,
  type Messenger,
  type Reply,
  type RequestOptions,
  type SendOptions,
} from '../agent/messages.js';
import { abortError, TroupeError } from '../core/errors.js';
import { newId } from '../core/ids.js';
import { PARTS_WINDOW, Parts } from '../core/parts.js';
import { type PayloadInput, toPayload } from '../core/payload.js';
import { systemRandom } from '../core/random.js';
import type { RoutedEnvelope } from '../gen/troupe/internal/v1/session.js';
import { EnvelopeKind } from '../gen/troupe/v1/envelope.js';
import { encodePayload } from '../rpc/codec/payload.js';
import { fromStatusMessage } from '../rpc/status.js';
import { addTraceHeaders, type TraceHeaders, traceWithin } from '../telemetry/trace-headers.js';
import { Answer } from './messages.js';
import type { ProgramSession } from './program-session.js';

const DEFAULT_TIMEOUT_MS = 30_000;

/** What limits all that is sent while something is worked on. */
export interface Surroundings {
  /** Milliseconds since the epoch; Infinity: nothing. */
  readonly deadlineMs: number;
  readonly trace: TraceHeaders | undefined;
}

/** How an attached program talks as the agent that it is. */
export class ProgramMessenger implements Messenger {
  constructor(
    private readonly session: () => ProgramSession,
    private readonly surroundings: Surroundings,
  ) {}

  async send(to: string, payload?: PayloadInput, options: SendOptions = {}): Promise<true> {
    const { atLeastOnce = false, waitForRoom = false, id = atLeastOnce ? newId('message', systemRandom) : '' } = options;
    await this.ask({ kind: EnvelopeKind.ENVELOPE_KIND_SEND, to, id, atLeastOnce, waitForRoom }, payload, options);
    return true;
  }

  async request(to: string, payload?: PayloadInput, options: RequestOptions = {}): Promise<Reply> {
    const { signal } = options;
    return new Answer(await this.ask({ kind: EnvelopeKind.ENVELOPE_KIND_REQUEST, to }, payload, options, signal));
  }

  async *stream(to: string, payload?: PayloadInput, options: RequestOptions = {}): AsyncGenerator<Reply, Reply, undefined> {
    const { signal } = options;
    if (signal?.aborted) throw abortError(signal);
    const parts = new Parts<Reply>();
    const session = this.session();
    const fields = { kind: EnvelopeKind.ENVELOPE_KIND_REQUEST, to, streaming: true, demand: PARTS_WINDOW };
    const asked = session.begin(this.envelope(session, fields, payload, options), {
      part: ({ payload: part }) => parts.part(new Answer({ payload: part, from: to })),
      answered: (envelope) => {
        const error = errorOf(envelope);
        if (error === undefined) parts.answered(new Answer(envelope));
        else parts.failed(error);
      },
      failed: (error) => parts.failed(error),
    });
    return yield* parts.read(asked, signal);
  }

  async broadcast(topic: string, payload?: PayloadInput, options: MessageOptions = {}): Promise<ReadonlyMap<string, boolean>> {
    const { receipts } = await this.ask({ kind: EnvelopeKind.ENVELOPE_KIND_SEND, topic }, payload, options);
    const result = new Map<string, boolean>();
    for (const id of receipts?.delivered ?? []) result.set(id, true);
    for (const id of receipts?.refused ?? []) result.set(id, false);
    return result;
  }

  private async ask(
    fields: Partial<RoutedEnvelope>,
    payload: PayloadInput,
    options: MessageOptions,
    signal?: AbortSignal,
  ): Promise<RoutedEnvelope> {
    const session = this.session();
    const answer = await session.ask(this.envelope(session, fields, payload, options), signal);
    const error = errorOf(answer);
    if (error !== undefined) throw error;
    return answer;
  }

  private envelope(
    session: ProgramSession,
    fields: Partial<RoutedEnvelope>,
    payload: PayloadInput,
    options: MessageOptions,
  ): Partial<RoutedEnvelope> {
    const { timeoutMs = DEFAULT_TIMEOUT_MS, headers = {} } = options;
    const all = new Map(Object.entries(headers));
    const trace = traceWithin(options, this.surroundings.trace);
    if (trace !== undefined) addTraceHeaders(all, trace, MAX_HEADERS);
    const deadline = new Date(Math.min(session.clock.now() + timeoutMs, this.surroundings.deadlineMs));
    return { ...fields, payload: encodePayload(toPayload(payload)), headers: all, deadline };
  }
}

/** What an answer says went wrong; undefined where nothing did. */
function errorOf({ kind, error }: RoutedEnvelope): TroupeError | undefined {
  if (error !== undefined) return fromStatusMessage(error);
  return kind === EnvelopeKind.ENVELOPE_KIND_ERROR ? new TroupeError('UNKNOWN', 'UNKNOWN', 'there is no answer') : undefined;
}
