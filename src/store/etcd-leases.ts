import type { Clock } from '../core/clock.js';
import { isTroupeError } from '../core/errors.js';
import type { EtcdConnection } from './etcd-connection.js';
import { EtcdKeepAlive } from './etcd-keep-alive.js';
import { checkTtl } from './limits.js';
import type { Leases } from './store.js';
import { storeFull } from './store-errors.js';

export class EtcdLeases implements Leases {
  private readonly keepAlive: EtcdKeepAlive;

  constructor(
    private readonly connection: EtcdConnection,
    clock: Clock,
    requestTimeoutMs: number,
  ) {
    this.keepAlive = new EtcdKeepAlive(connection, clock, requestTimeoutMs);
  }

  async grant(ttlSeconds: number, signal?: AbortSignal): Promise<{ leaseId: bigint; ttlSeconds: number }> {
    const request = { TTL: checkTtl(ttlSeconds) };
    const answer = await this.connection.write(({ lease }, options) => lease.leaseGrant(request, options), signal);
    if (answer.error !== '') throw storeFull(`etcd: ${answer.error}`);
    return { leaseId: BigInt(answer.ID), ttlSeconds: Number(answer.TTL) };
  }

  renew(leaseId: bigint, signal?: AbortSignal): Promise<number> {
    return this.keepAlive.renew(leaseId, signal);
  }

  async revoke(leaseId: bigint, signal?: AbortSignal): Promise<bigint> {
    const request = { ID: leaseId.toString() };
    try {
      const { header } = await this.connection.write(({ lease }, options) => lease.leaseRevoke(request, options), signal);
      return BigInt(header.revision);
    } catch (error) {
      if (!isTroupeError(error, 'LEASE_NOT_FOUND')) throw error;
      const { header } = await this.inquire(leaseId, signal);
      return BigInt(header.revision);
    }
  }

  async timeToLive(
    leaseId: bigint,
    signal?: AbortSignal,
  ): Promise<{ remainingSeconds: number; grantedSeconds: number } | undefined> {
    const answer = await this.inquire(leaseId, signal);
    const remainingSeconds = Number(answer.TTL);
    // etcd answers -1 for a lease that is gone.
    return remainingSeconds < 0 ? undefined : { remainingSeconds, grantedSeconds: Number(answer.grantedTTL) };
  }

  private inquire(leaseId: bigint, signal: AbortSignal | undefined) {
    return this.connection.read(({ lease }, options) => lease.leaseTimeToLive({ ID: leaseId.toString() }, options), signal);
  }
}
