import { BatchQueue } from '../core/batch-queue.js';
import type { Clock } from '../core/clock.js';
import { effectiveDeadline } from '../core/deadline.js';
import { TroupeError } from '../core/errors.js';
import {
  type ExchangeRequest,
  ExchangeResponse,
  type OutcomeEnvelope,
  type TaskEnvelope,
  type TaskLinkDefinition,
} from '../gen/troupe/internal/v1/link.js';
import type { RoutedExecuteTaskRequest } from '../gen/troupe/internal/v1/routed.js';
import type { Call } from '../rpc/call.js';
import { encodeMessage } from '../rpc/encode.js';
import type { Handlers } from '../rpc/service.js';
import { toStatusMessage } from '../rpc/status.js';
import type { Logger } from '../telemetry/logger.js';
import type { LocalNodeTasks } from './local-tasks.js';

export interface TaskLinkDeps {
  readonly tasks: LocalNodeTasks;
  readonly clock: Clock;
  readonly logger: Logger;
}

const BATCH_BYTES = 24 * 1024;
/** Outcomes that may wait for a router that does not read: then its link ends. */
const QUEUE_BYTES = 16 * 1024 * 1024;
const ENVELOPE_BYTES = 256;

/** Tells a router that this node will end. */
const ENDING: OutcomeEnvelope = { id: 0, outcome: undefined };

/** Does the tasks that routers send over their links. */
export class TaskLinkService {
  private readonly links = new Set<BatchQueue<OutcomeEnvelope>>();
  private ending = false;

  constructor(private readonly deps: TaskLinkDeps) {}

  get handlers(): Handlers<typeof TaskLinkDefinition> {
    return { exchange: (requests, call) => this.exchange(requests, call) };
  }

  /** Asks the routers to end their links: what they have sent by then is still answered. */
  close(): void {
    this.ending = true;
    for (const link of this.links) link.push(ENDING, 0);
  }

  private async *exchange(requests: AsyncIterable<ExchangeRequest>, call: Call): AsyncGenerator<Buffer, void, undefined> {
    const outcomes = new BatchQueue<OutcomeEnvelope>({ batchBytes: BATCH_BYTES, queueBytes: QUEUE_BYTES });
    const link = new Link(this.deps, outcomes);
    this.links.add(outcomes);
    call.onCancel(() => outcomes.close());
    if (this.ending) outcomes.push(ENDING, 0);
    const reading = link.read(requests).finally(() => outcomes.close());
    reading.catch(() => undefined);
    try {
      for await (const envelopes of outcomes) yield encodeMessage(ExchangeResponse, { envelopes });
    } finally {
      this.links.delete(outcomes);
      link.callOffAll();
    }
  }
}

/** One router's stream. */
class Link {
  private readonly running = new Map<number, () => void>();
  private onIdle: () => void = () => undefined;

  constructor(
    private readonly deps: TaskLinkDeps,
    private readonly outcomes: BatchQueue<OutcomeEnvelope>,
  ) {}

  /** Resolves when the router has ended its side and has its answers. */
  async read(requests: AsyncIterable<ExchangeRequest>): Promise<void> {
    for await (const { envelopes } of requests) for (const envelope of envelopes) this.receive(envelope);
    if (this.running.size > 0)
      await new Promise<void>((resolve) => {
        this.onIdle = resolve;
      });
  }

  /** The router has gone: nobody waits. */
  callOffAll(): void {
    for (const cancel of this.running.values()) cancel();
    this.running.clear();
    this.onIdle();
  }

  private receive({ id, content, traceparent }: TaskEnvelope): void {
    if (content?.$case === 'execute') void this.execute(id, content.value, traceparent);
    else if (content?.$case === 'cancel') {
      this.running.get(id)?.();
      this.forget(id);
    }
  }

  private async execute(id: number, request: RoutedExecuteTaskRequest, traceparent: string): Promise<void> {
    try {
      const call = {
        deadlineMs: effectiveDeadline(this.deps.clock.now(), request.task?.deadline?.getTime()),
        traceparent: traceparent === '' ? undefined : traceparent,
      };
      const { response, cancel } = this.deps.tasks.execute(request, call);
      this.running.set(id, cancel);
      const value = await response;
      this.tell({ id, outcome: { $case: 'response', value } }, value.result.payload.length);
    } catch (error) {
      if (!(error instanceof TroupeError)) this.deps.logger.error('a task over a link failed', { error });
      this.tell({ id, outcome: { $case: 'error', value: toStatusMessage(error) } }, ENVELOPE_BYTES);
    } finally {
      this.forget(id);
    }
  }

  private forget(id: number): void {
    this.running.delete(id);
    if (this.running.size === 0) this.onIdle();
  }

  /** A router that does not take what it asked for loses its link, and learns that the outcomes are unknown. */
  private tell(outcome: OutcomeEnvelope, bytes: number): void {
    if (!this.outcomes.push(outcome, bytes + ENVELOPE_BYTES)) this.outcomes.close();
  }
}
