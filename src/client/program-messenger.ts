import type { MessageOptions, Reply, RequestOptions, SendOptions } from '../agent/messages.js';
import { TroupeError } from '../core/errors.js';
import { newId } from '../core/ids.js';
import { type PayloadInput, toPayload } from '../core/payload.js';
import { systemRandom } from '../core/random.js';
import type { RoutedEnvelope } from '../gen/troupe/internal/v1/session.js';
import { EnvelopeKind } from '../gen/troupe/v1/envelope.js';
import { encodePayload } from '../rpc/codec/payload.js';
import { fromStatusMessage } from '../rpc/status.js';
import { addTraceHeaders, type TraceHeaders, traceWithin } from '../telemetry/trace-headers.js';
import type { AttachedMessenger } from './attach-options.js';
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
export class ProgramMessenger implements AttachedMessenger {
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
    const { timeoutMs = DEFAULT_TIMEOUT_MS, headers = {} } = options;
    const session = this.session();
    const all = new Map(Object.entries(headers));
    const trace = traceWithin(options, this.surroundings.trace);
    if (trace !== undefined) addTraceHeaders(all, trace);
    const deadline = new Date(Math.min(session.clock.now() + timeoutMs, this.surroundings.deadlineMs));
    const answer = await session.ask({ ...fields, payload: encodePayload(toPayload(payload)), headers: all, deadline }, signal);
    if (answer.error !== undefined) throw fromStatusMessage(answer.error);
    if (answer.kind === EnvelopeKind.ENVELOPE_KIND_ERROR) throw new TroupeError('UNKNOWN', 'UNKNOWN', 'there is no answer');
    return answer;
  }
}
