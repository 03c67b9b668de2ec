import { invalidArgument, TroupeError } from '../core/errors.js';
import type { RoutedTask, RoutedTaskResult } from '../gen/troupe/internal/v1/routed.js';
import type { RoutedEnvelope } from '../gen/troupe/internal/v1/session.js';
import { EnvelopeKind } from '../gen/troupe/v1/envelope.js';
import { toStatusMessage } from '../rpc/status.js';
import { PartGate } from '../runtime/part-gate.js';
import { cancelledByProgram, ProgramCall } from './program-call.js';
import {
  DEFAULT_DEMAND,
  demandOf,
  effectiveDeadlineOf,
  type OpenRequest,
  type ProgramPort,
  type ProgramRequestDeps,
} from './program-port.js';
import { ProgramSends } from './program-sends.js';

/** What a program may wait for at once, and the bytes of that together: more is refused. */
const MAX_OPEN = 10_000;
const MAX_OPEN_BYTES = 64 * 1024 * 1024;

/** What an attached program asks for: its messages, requests and tasks, and what becomes of them. */
export class ProgramRequests {
  private readonly open = new Map<bigint, { readonly request: OpenRequest; readonly bytes: number }>();
  private openBytes = 0;
  private readonly sends: ProgramSends;

  constructor(
    private readonly program: ProgramPort,
    private readonly deps: ProgramRequestDeps,
  ) {
    this.sends = new ProgramSends(program, deps, {
      began: (id, request, bytes) => this.began(id, request, bytes),
      ended: (id) => this.ended(id),
    });
  }

  /** Things that the program waits for. */
  get size(): number {
    return this.open.size;
  }

  /** @throws INVALID_ARGUMENT: what the program must not send. */
  receive(envelope: RoutedEnvelope): void {
    const { kind, correlationId: id } = envelope;
    switch (kind) {
      case EnvelopeKind.ENVELOPE_KIND_CANCEL:
        this.cancel(id);
        return;
      case EnvelopeKind.ENVELOPE_KIND_DEMAND:
        this.open.get(id)?.request.demand(demandOf(envelope, 1));
        return;
      default:
    }
    if (this.open.has(id))
      throw new TroupeError(
        'INVALID_ARGUMENT',
        'CORRELATION_ID_IN_USE',
        `correlation_id: ${id} is in use for something that has not been answered; choose another`,
      );
    if (id === 0n && kind !== EnvelopeKind.ENVELOPE_KIND_SEND)
      throw invalidArgument('correlation_id', 'is required for what is answered: REQUEST and TASK');
    const refusal = this.refusal(envelope);
    if (kind === EnvelopeKind.ENVELOPE_KIND_TASK) {
      if (refusal === undefined) this.task(envelope);
      else this.fail(id, refusal);
    } else this.sends.receive(envelope, refusal);
  }

  /** Nobody waits any more for anything. */
  close(error: TroupeError): void {
    for (const id of [...this.open.keys()]) this.take(id)?.cancel(error);
  }

  private task(envelope: RoutedEnvelope): void {
    const { correlationId: id, task, headers, streaming } = envelope;
    const call = new ProgramCall(this.program.peer, effectiveDeadlineOf(envelope, this.deps.now()), headers);
    const gate = streaming ? new PartGate(demandOf(envelope, DEFAULT_DEMAND)) : undefined;
    const request: OpenRequest = {
      cancel: (error) => {
        call.cancel(error);
        gate?.open();
      },
      demand: (parts) => gate?.add(parts),
    };
    this.began(id, request, task?.payload.length ?? 0);
    const answered = (result: RoutedTaskResult | undefined) => {
      if (!this.ended(id)) return;
      if (result === undefined) this.fail(id, noResult());
      else this.program.send({ kind: EnvelopeKind.ENVELOPE_KIND_RESULT, correlationId: id, result });
    };
    const failed = (error: unknown) => {
      if (this.ended(id)) this.fail(id, error);
    };
    if (gate === undefined) this.deps.tasks.run(task, call).then(answered, failed);
    else this.stream(task, id, call, gate).then(answered, failed);
  }

  /** Passes on what the task gives, as the program wants it. Gives its result. */
  private async stream(
    task: RoutedTask | undefined,
    correlationId: bigint,
    call: ProgramCall,
    gate: PartGate,
  ): Promise<RoutedTaskResult | undefined> {
    for await (const { event } of this.deps.tasks.stream(task, call)) {
      if (event?.$case === 'result') return event.value;
      if (call.cancelled) return undefined;
      if (event?.$case === 'chunk') {
        await gate.pass();
        if (call.cancelled) return undefined;
        const { sequence, payload } = event.value;
        this.program.send({ kind: EnvelopeKind.ENVELOPE_KIND_CHUNK, correlationId, sequence, payload });
      } else if (event?.$case === 'progress')
        this.program.send({ kind: EnvelopeKind.ENVELOPE_KIND_PROGRESS, correlationId, progress: event.value });
    }
    return undefined;
  }

  /** Why something more is not begun; undefined where it is. */
  private refusal({ correlationId, payload, task }: RoutedEnvelope): TroupeError | undefined {
    // What nobody waits for would be lost unheard.
    if (correlationId !== 0n && this.program.refusal !== undefined) return this.program.refusal;
    const bytes = payload.length + (task?.payload.length ?? 0);
    if (this.open.size < MAX_OPEN && this.openBytes + bytes <= MAX_OPEN_BYTES) return undefined;
    return new TroupeError(
      'RESOURCE_EXHAUSTED',
      'TOO_MANY_OPEN',
      `this program waits for ${this.open.size} answers (at most ${MAX_OPEN}, of ${MAX_OPEN_BYTES} bytes together): wait for some`,
      { metadata: { started: 'false' }, retryAfterMs: 100 },
    );
  }

  private cancel(id: bigint): void {
    this.take(id)?.cancel(cancelledByProgram());
  }

  private began(id: bigint, request: OpenRequest, bytes: number): void {
    this.open.set(id, { request, bytes });
    this.openBytes += bytes;
  }

  /** Whether the program still waits for it. */
  private ended(id: bigint): boolean {
    return this.take(id) !== undefined;
  }

  private take(id: bigint): OpenRequest | undefined {
    const entry = this.open.get(id);
    if (entry === undefined) return undefined;
    this.open.delete(id);
    this.openBytes -= entry.bytes;
    this.program.settled();
    return entry.request;
  }

  private fail(correlationId: bigint, error: unknown): void {
    this.program.send({ kind: EnvelopeKind.ENVELOPE_KIND_ERROR, correlationId, error: toStatusMessage(error) });
  }
}

function noResult(): TroupeError {
  return new TroupeError('INTERNAL', 'NO_RESULT', 'the task ended without a result');
}
