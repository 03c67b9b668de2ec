import { abortError, deadlineExceeded, TroupeError } from '../../../src/core/errors.js';
import type { RegistryClient, RegistrySession } from '../../../src/discovery/registry-session.js';
import {
  DeregisterRequest,
  type KeepAliveRequest,
  RegisterRequest,
  UpdateInstanceRequest,
} from '../../../src/gen/troupe/v1/registry.js';
import { callOf, RegistryRig } from '../registry/registry-rig.js';

export type WriteName = 'register' | 'deregister' | 'updateInstance';

/** What becomes of one call on its way. */
export interface Fate {
  /** It never gets there, and the caller hears UNAVAILABLE. */
  readonly lost?: boolean;
  /** For so long it is on its way, also when its caller has given up. */
  readonly arrivesAfterMs?: number;
  /** For so long its answer is on its way. */
  readonly answersAfterMs?: number;
  /** It takes effect, and the caller hears UNAVAILABLE. */
  readonly answerLost?: boolean;
}

interface Options {
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

const NO_FATE: Fate = {};

/** The real registry service over a store in memory, behind a network that loses, delays and overtakes. */
export class FaultyRegistry {
  readonly rig = new RegistryRig();
  /** Writes in the order of their being sent. */
  readonly sent: WriteName[] = [];
  /** Decides what becomes of the next write. */
  fate: (name: WriteName, request: unknown) => Fate = () => NO_FATE;
  /** Whether renewals get no answer. */
  isSilent = false;
  /** Stands for a session with the one registry. */
  readonly session: RegistrySession;
  private readonly controller = new AbortController();

  constructor() {
    const { service } = this.rig;
    const call = callOf(this.controller.signal);
    const client = {
      register: (request: Parameters<typeof RegisterRequest.fromPartial>[0], options: Options) =>
        this.send('register', request, () => service.register(RegisterRequest.fromPartial(request), call), options),
      deregister: (request: Parameters<typeof DeregisterRequest.fromPartial>[0], options: Options) =>
        this.send('deregister', request, () => service.deregister(DeregisterRequest.fromPartial(request), call), options),
      updateInstance: (request: Parameters<typeof UpdateInstanceRequest.fromPartial>[0], options: Options) =>
        this.send(
          'updateInstance',
          request,
          () => service.updateInstance(UpdateInstanceRequest.fromPartial(request), call),
          options,
        ),
      keepAlive: (requests: AsyncIterable<KeepAliveRequest>, { signal }: Options) => this.keepAlive(requests, signal),
    } as unknown as RegistryClient;
    this.session = { client, address: 'faulty:1', turnFrom: () => undefined } as unknown as RegistrySession;
  }

  /** Everything in the registry as `service/id status`. */
  async listed(): Promise<string[]> {
    const { instances } = await this.rig.list({ pageSize: 1_000 });
    return instances.map(({ service, id, status }) => `${service}/${id} ${status}`);
  }

  async stop(): Promise<void> {
    this.controller.abort();
    await this.rig.stop();
  }

  private send<T>(name: WriteName, request: unknown, serve: () => T | Promise<T>, { timeoutMs, signal }: Options): Promise<T> {
    const { clock } = this.rig;
    const { lost, arrivesAfterMs = 0, answersAfterMs = 0, answerLost } = this.fate(name, request);
    this.sent.push(name);
    return new Promise((resolve, reject) => {
      const end = (settle: () => void) => {
        cancelTimeout();
        signal?.removeEventListener('abort', onAbort);
        settle();
      };
      const onAbort = () => end(() => reject(abortError(signal as AbortSignal)));
      const cancelTimeout = clock.after(timeoutMs ?? 3_600_000, () =>
        end(() => reject(deadlineExceeded(`no answer to ${name} within ${timeoutMs} ms`))),
      );
      if (signal?.aborted) return onAbort();
      signal?.addEventListener('abort', onAbort, { once: true });
      const arrive = async () => {
        try {
          const answer = await serve();
          if (answerLost) end(() => reject(unavailable()));
          else later(answersAfterMs, () => end(() => resolve(answer)));
        } catch (error) {
          if (answerLost) end(() => reject(unavailable()));
          else later(answersAfterMs, () => end(() => reject(error)));
        }
      };
      const later = (ms: number, act: () => void) => {
        if (ms === 0) act();
        else clock.after(ms, act);
      };
      if (lost) later(arrivesAfterMs, () => end(() => reject(unavailable())));
      else later(arrivesAfterMs, () => void arrive());
    });
  }

  private async *keepAlive(requests: AsyncIterable<KeepAliveRequest>, signal: AbortSignal | undefined) {
    const gone = new AbortController();
    const stop = () => gone.abort();
    signal?.addEventListener('abort', stop, { once: true });
    const ended = new Promise<never>((_, reject) => {
      gone.signal.addEventListener('abort', () => reject(abortError(signal ?? gone.signal)), { once: true });
    });
    ended.catch(() => undefined);
    const answers = this.rig.service.keepAlive(requests, callOf(gone.signal))[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await Promise.race([answers.next(), ended]);
        if (next.done) return;
        if (!this.isSilent) yield next.value;
      }
    } finally {
      signal?.removeEventListener('abort', stop);
      void answers.return?.(undefined);
    }
  }
}

function unavailable(): TroupeError {
  return new TroupeError('UNAVAILABLE', 'UNAVAILABLE', 'no connection');
}
