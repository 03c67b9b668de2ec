import type { Clock } from '../core/clock.js';
import { codeOf, type ErrorCode, isTroupeError, messageOf, TroupeError } from '../core/errors.js';
import type { Random } from '../core/random.js';
import { backoffMs } from '../resilience/backoff.js';
import { instanceToMessage, statusToMessage } from '../rpc/codec/instance.js';
import type { Logger } from '../telemetry/logger.js';
import type { Write } from './registration-write.js';
import type { Registrations } from './registrations.js';
import { type RegistryClient, type RegistrySession, RPC_TIMEOUT_MS } from './registry-session.js';

export interface WriterDeps {
  readonly registry: RegistrySession;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface WriterHandlers {
  /** The registry has taken something. */
  written(): void;
  /** The registry says that this lease is gone. */
  leaseGone(leaseId: bigint): void;
}

const BACKOFF = { initialMs: 100, capMs: 2_000 };
/** Who gets one of these knows that nothing was written; with any other error it may have been. */
const REFUSALS: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'RESOURCE_EXHAUSTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'UNAUTHENTICATED',
]);

/** Writes to the registry what registrations say is due: one call at a time, and what failed again after a pause. */
export class RegistrationWriter {
  private sending = new AbortController();
  private isAwake = false;
  private endPause: () => void = () => undefined;

  constructor(
    private readonly deps: WriterDeps,
    private readonly registrations: Registrations,
    private readonly handlers: WriterHandlers,
  ) {}

  /** Looks at once for what is due, also where it pauses after a failure. */
  wake(): void {
    this.isAwake = true;
    this.endPause();
  }

  /** The lease has changed: what was sent under the one before is of no interest. */
  drop(): void {
    this.sending.abort();
    this.sending = new AbortController();
    this.wake();
  }

  /** Until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { registrations } = this;
    const { clock, random } = this.deps;
    const stop = () => this.drop();
    signal.addEventListener('abort', stop, { once: true });
    let failures = 0;
    while (!signal.aborted) {
      this.isAwake = false;
      const nowMs = clock.monotonicMs();
      const write = registrations.next(nowMs);
      if (write === undefined) {
        const { dueAtMs } = registrations;
        await this.pause(dueAtMs === undefined ? undefined : dueAtMs - nowMs);
      } else if (await this.send(write, failures)) failures = 0;
      else {
        failures += 1;
        if (!registrations.isAwaited) await this.pause(backoffMs(failures, BACKOFF, random));
      }
    }
    signal.removeEventListener('abort', stop);
  }

  /** False: what is due could not be written, and is tried again after a pause. */
  private async send(write: Write, failures: number): Promise<boolean> {
    const { registry, logger } = this.deps;
    const { client } = registry;
    const { signal } = this.sending;
    try {
      await call(client, write, signal);
    } catch (error) {
      if (signal.aborted) return true;
      if (isTroupeError(error, 'LEASE_NOT_FOUND')) {
        this.handlers.leaseGone(write.leaseId);
        return true;
      }
      if (codeOf(error) === 'UNAVAILABLE') registry.turnFrom(client);
      if (!REFUSALS.has(codeOf(error))) this.registrations.unanswered(write, notReached(error));
      else if (this.registrations.refused(write, error)) return true;
      if (failures === 0)
        logger.warn('not written to the registry yet; trying on', { what: write.kind, reason: messageOf(error) });
      return false;
    }
    this.registrations.acknowledged(write);
    this.handlers.written();
    return true;
  }

  /** Ends after `ms`, where given, or when it is woken. */
  private pause(ms: number | undefined): Promise<void> {
    if (this.isAwake) return Promise.resolve();
    return new Promise((resolve) => {
      const cancel = ms === undefined ? () => undefined : this.deps.clock.after(ms, resolve);
      this.endPause = () => {
        cancel();
        resolve();
      };
    });
  }
}

async function call(client: RegistryClient, { kind, leaseId, changes }: Write, signal: AbortSignal): Promise<void> {
  const options = { timeoutMs: RPC_TIMEOUT_MS, signal };
  const instances = changes.flatMap(({ instance }) => instance ?? []);
  switch (kind) {
    case 'register':
      await client.register({ leaseId, instances: instances.map((instance) => instanceToMessage(instance)) }, options);
      return;
    case 'remove':
      await client.deregister({ leaseId, instances: changes.map(({ key }) => key) }, options);
      return;
    case 'status':
      for (const { service, id, status } of instances)
        await client.updateInstance({ leaseId, key: { service, id }, status: statusToMessage(status) }, options);
  }
}

/** That the registry is away, in words for whoever asked for the change. */
function notReached(error: unknown): unknown {
  if (!isTroupeError(error) || error.reason !== error.code) return error;
  // A registry that is frozen lets the time pass.
  if (error.code !== 'UNAVAILABLE' && error.code !== 'DEADLINE_EXCEEDED') return error;
  return new TroupeError('UNAVAILABLE', 'REGISTRY_UNAVAILABLE', 'the registry is not reached now; try again', {
    retryAfterMs: 1_000,
    cause: error,
  });
}
