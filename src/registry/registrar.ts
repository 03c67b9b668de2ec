import { entryViolations } from '../agent/manifest.js';
import type { Clock } from '../core/clock.js';
import { invalidArgument, invalidFields, isTroupeError, TroupeError } from '../core/errors.js';
import { AGENT_SERVICE, type InstanceKey, mayBecome, nextStatuses, type ProbeVerdict } from '../core/instance.js';
import { Instance as InstanceMessage, InstanceStatus } from '../gen/troupe/v1/instance.js';
import type { DeregisterRequest, RegisterRequest, UpdateInstanceRequest } from '../gen/troupe/v1/registry.js';
import { statusFromMessage, verdictToMessage } from '../rpc/codec/instance.js';
import type { Keys } from '../store/keys.js';
import type { Condition, Store, StoreEntry, Write } from '../store/store.js';
import { readStored, type StoredInstance, writeStored } from './stored-instance.js';
import { checkKey, checkLeaseId, checkRegistration, checkTtlSeconds, checkUpdate, MAX_BATCH } from './validation.js';

export interface RegistrarDeps {
  readonly store: Store;
  readonly keys: Keys;
  readonly clock: Clock;
}

export interface Registration {
  readonly leaseId: bigint;
  readonly ttlSeconds: number;
  readonly instances: readonly StoredInstance[];
  readonly revision: bigint;
}

/** What a verdict is based on. */
export interface JudgeBasis {
  /** The life of the instance that was probed. */
  readonly incarnation: bigint;
  /** Holds while the judge leads. */
  readonly token: Condition;
  readonly signal: AbortSignal;
}

/** A transaction that loses against another is tried again with what is there then. */
const MAX_TRIES = 5;

/** Changes who is in the cluster: each change one transaction that holds only if what it was based on still stands. */
export class Registrar {
  constructor(private readonly deps: RegistrarDeps) {}

  /** As Registry.Register says. */
  async register(request: RegisterRequest): Promise<Registration> {
    const messages = checkRegistration(request);
    const wantedTtl = checkTtlSeconds(request);
    if (request.leaseId < 0n) throw invalidArgument('lease_id', 'must not be negative');
    const { leases } = this.deps.store;
    if (request.leaseId !== 0n) {
      const life = await leases.timeToLive(request.leaseId);
      if (life === undefined) throw leaseNotFound(request.leaseId);
      return this.put(messages, request.leaseId, life.grantedSeconds);
    }
    const { leaseId, ttlSeconds } = await leases.grant(wantedTtl);
    try {
      return await this.put(messages, leaseId, ttlSeconds);
    } catch (error) {
      // Nothing hangs on it; if it cannot be revoked either, it expires.
      await leases.revoke(leaseId).catch(() => undefined);
      throw error;
    }
  }

  /** As Registry.Deregister says. Gives the revision of the change. */
  async deregister({ leaseId, instances }: DeregisterRequest): Promise<bigint> {
    checkLeaseId(leaseId);
    if (instances.length === 0) return this.deps.store.leases.revoke(leaseId);
    if (instances.length > MAX_BATCH) throw invalidArgument('instances', `at most ${MAX_BATCH} at once, got ${instances.length}`);
    const keys = instances.map((key, index) => checkKey(`instances[${index}]`, key));
    return this.retry(async () => {
      const entries = await Promise.all(keys.map((key) => this.read(key)));
      const there = entries.filter((entry) => entry !== undefined);
      for (const entry of there) requireHolder(entry, leaseId);
      if (there.length === 0) return 0n;
      const result = await this.deps.store.txn(
        there.map(({ key, modRevision }) => ({ key, modRevision })),
        there.map(({ key }) => ({ kind: 'delete', key })),
      );
      return result.applied ? result.revision : undefined;
    });
  }

  /** As Registry.UpdateInstance says. */
  async update(request: UpdateInstanceRequest): Promise<StoredInstance> {
    checkUpdate(request);
    const key = checkKey('key', request.key);
    return this.retry(async () => {
      const entry = await this.read(key);
      if (entry === undefined) throw instanceNotFound(key);
      requireHolder(entry, request.leaseId);
      if (request.expectedRevision !== 0n && request.expectedRevision !== entry.modRevision) {
        throw new TroupeError(
          'ABORTED',
          'REVISION_MISMATCH',
          `${text(key)} is at revision ${entry.modRevision}, not ${request.expectedRevision}; read it and try again`,
        );
      }
      const value = writeStored(changed(InstanceMessage.decode(entry.value), request));
      const { leaseId } = request;
      const result = await this.deps.store.txn(
        [{ key: entry.key, modRevision: entry.modRevision }],
        [{ kind: 'put', key: entry.key, value, leaseId }],
      );
      return result.applied ? readStored({ ...entry, value, modRevision: result.revision, leaseId }) : undefined;
    });
  }

  /**
   * Puts what probes found into an instance's record (undefined: takes it out), under the lease that the record hangs on, so that it goes
   * with it. One transaction, only while the record is as it was read and `token` holds. False: nothing was written, because it says
   * so already, the instance has gone or lives anew, or somebody was faster; the judge looks again. @throws what the store says.
   */
  async judge(key: InstanceKey, probe: ProbeVerdict | undefined, { incarnation, token, signal }: JudgeBasis): Promise<boolean> {
    const entry = await this.read(key, signal);
    if (entry === undefined || entry.createRevision !== incarnation) return false;
    const message = InstanceMessage.decode(entry.value);
    if ((message.probe?.failing ?? false) === (probe?.failing ?? false)) return false;
    const value = writeStored({ ...message, probe: probe === undefined ? undefined : verdictToMessage(probe) });
    const conditions = [{ key: entry.key, modRevision: entry.modRevision }, token];
    try {
      const write = { kind: 'put', key: entry.key, value, leaseId: entry.leaseId } as const;
      return (await this.deps.store.txn(conditions, [write], signal)).applied;
    } catch (error) {
      if (isTroupeError(error, 'LEASE_NOT_FOUND')) return false;
      throw error;
    }
  }

  /** Linearizable. @throws NOT_FOUND. */
  async get(given: InstanceKey | undefined): Promise<StoredInstance> {
    const key = checkKey('key', given);
    const entry = await this.read(key);
    if (entry === undefined) throw instanceNotFound(key);
    return readStored(entry);
  }

  private put(messages: readonly InstanceMessage[], leaseId: bigint, ttlSeconds: number): Promise<Registration> {
    const registeredAt = new Date(this.deps.clock.now());
    const values = messages.map((message) => writeStored({ ...message, registeredAt }));
    return this.retry(async () => {
      const entries = await Promise.all(messages.map((message) => this.read(message)));
      const vacated = await Promise.all(messages.map((message, index) => this.vacate(message, entries[index], leaseId)));
      if (vacated.includes(true)) return undefined;
      const keys = messages.map(({ service, id }) => this.deps.keys.instance(service, id));
      const conditions: Condition[] = keys.map((key, index) => ({ key, modRevision: entries[index]?.modRevision ?? 0n }));
      const writes: Write[] = keys.map((key, index) => ({ kind: 'put', key, value: values[index] ?? new Uint8Array(), leaseId }));
      const result = await this.deps.store.txn(conditions, writes);
      if (!result.applied) return undefined;
      const instances = keys.map((key, index) =>
        readStored({
          key,
          value: values[index] ?? new Uint8Array(),
          leaseId,
          modRevision: result.revision,
          createRevision: entries[index]?.createRevision ?? result.revision,
        }),
      );
      return { leaseId, ttlSeconds, instances, revision: result.revision };
    });
  }

  /**
   * Makes sure that nobody else holds the id. An entry of the same service and address is of an earlier life of the same
   * process, for no two can listen on one port: its lease is revoked, and true says to look again. @throws ALREADY_EXISTS.
   */
  private async vacate(message: InstanceMessage, entry: StoreEntry | undefined, leaseId: bigint): Promise<boolean> {
    if (entry === undefined || entry.leaseId === leaseId) return false;
    const { leases } = this.deps.store;
    const { instance } = readStored(entry);
    const sameAddress = instance.endpoint.host === message.endpoint?.host && instance.endpoint.port === message.endpoint.port;
    if (message.service !== AGENT_SERVICE && sameAddress) {
      await leases.revoke(entry.leaseId);
      return true;
    }
    const life = await leases.timeToLive(entry.leaseId);
    if (life === undefined) return true;
    const { service, id } = message;
    const holder =
      instance.nodeId === '' ? `a process at ${instance.endpoint.host}:${instance.endpoint.port}` : `node "${instance.nodeId}"`;
    throw new TroupeError(
      'ALREADY_EXISTS',
      'ALREADY_REGISTERED',
      `${text(message)} is registered by ${holder}; choose another id, or wait until that one is gone`,
      {
        metadata: { service, id, node_id: instance.nodeId },
        retryAfterMs: Math.max(1, life.remainingSeconds) * 1000,
      },
    );
  }

  private read({ service, id }: InstanceKey, signal?: AbortSignal): Promise<StoreEntry | undefined> {
    return this.deps.store.get(this.deps.keys.instance(service, id), signal);
  }

  /** `attempt` gives undefined when somebody else was faster. */
  private async retry<T>(attempt: () => Promise<T | undefined>): Promise<T> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const result = await attempt();
      if (result !== undefined) return result;
    }
    throw new TroupeError('ABORTED', 'CONTENTION', 'others kept changing the same instances; try again', { retryAfterMs: 100 });
  }
}

function changed(message: InstanceMessage, request: UpdateInstanceRequest): InstanceMessage {
  const status = request.status === InstanceStatus.INSTANCE_STATUS_UNSPECIFIED ? message.status : request.status;
  requireTransition(message, status);
  const metadata = new Map(message.metadata);
  for (const [key, value] of request.metadata) {
    if (value === '') metadata.delete(key);
    else metadata.set(key, value);
  }
  const [tooMany] = entryViolations('metadata', metadata);
  if (tooMany !== undefined) throw invalidFields([tooMany]);
  return {
    ...message,
    status,
    metadata,
    weight: request.weight ?? message.weight,
    capabilities: request.capabilities?.names ?? message.capabilities,
  };
}

function requireTransition(message: InstanceMessage, next: InstanceStatus): void {
  const from = statusFromMessage(message.status);
  const to = statusFromMessage(next);
  if (from === undefined || to === undefined || mayBecome(from, to)) return;
  const allowed = nextStatuses(from).join(', ') || 'nothing: register it again';
  throw new TroupeError(
    'FAILED_PRECONDITION',
    'STATUS_TRANSITION',
    `${text(message)} is ${from} and cannot become ${to}; it can become ${allowed}`,
    { metadata: { from, to } },
  );
}

function requireHolder(entry: StoreEntry, leaseId: bigint): void {
  if (entry.leaseId === leaseId) return;
  throw new TroupeError(
    'PERMISSION_DENIED',
    'NOT_THE_HOLDER',
    `${text(readStored(entry).instance)} is registered under another lease`,
  );
}

function instanceNotFound(key: InstanceKey): TroupeError {
  return new TroupeError('NOT_FOUND', 'UNKNOWN_INSTANCE', `no ${text(key)} in the cluster`, {
    metadata: { service: key.service, id: key.id },
  });
}

export function leaseNotFound(leaseId: bigint): TroupeError {
  return new TroupeError('NOT_FOUND', 'LEASE_NOT_FOUND', `lease ${leaseId} is gone; register again`, {
    metadata: { lease_id: String(leaseId) },
  });
}

function text({ service, id }: InstanceKey): string {
  return `${service} "${id}"`;
}
