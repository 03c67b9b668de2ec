import type { Clock } from '../core/clock.js';
import { codeOf } from '../core/errors.js';
import { INSTRUMENTS } from '../telemetry/instruments.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { Leases, Store } from './store.js';

/** A store whose operations are measured, by name and gRPC code. */
export function measuredStore(store: Store, metrics: Metrics, clock: Clock): Store {
  const measure = async <T>(operation: string, work: Promise<T>): Promise<T> => {
    const beganAtMs = clock.monotonicMs();
    let code = 'OK';
    try {
      return await work;
    } catch (error) {
      code = codeOf(error);
      throw error;
    } finally {
      metrics.histogram(INSTRUMENTS.storeDuration, operation, code).record((clock.monotonicMs() - beganAtMs) / 1_000);
    }
  };
  const leases: Leases = {
    grant: (...args) => measure('lease_grant', store.leases.grant(...args)),
    renew: (...args) => measure('lease_renew', store.leases.renew(...args)),
    revoke: (...args) => measure('lease_revoke', store.leases.revoke(...args)),
    timeToLive: (...args) => measure('lease_time_to_live', store.leases.timeToLive(...args)),
  };
  return {
    get: (...args) => measure('get', store.get(...args)),
    list: (...args) => measure('list', store.list(...args)),
    txn: (...args) => measure('txn', store.txn(...args)),
    watch: (...args) => store.watch(...args),
    leases,
    close: () => store.close(),
  };
}
