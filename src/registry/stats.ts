import { AGENT_SERVICE, type InstanceStatus } from '../core/instance.js';
import type { Catalog } from '../discovery/catalog.js';
import type { CapabilityStats, ServiceStats } from '../gen/troupe/v1/registry.js';
import { statusToMessage } from '../rpc/codec/instance.js';
import type { StoredInstance } from './stored-instance.js';

/** Every service that has instances, by name. */
export function serviceStats(catalog: Catalog<StoredInstance>): ServiceStats[] {
  return [...catalog.serviceSizes()]
    .map(([service, instances]) => {
      const counts = new Map<InstanceStatus, number>();
      for (const { instance } of catalog.ofService(service)) counts.set(instance.status, (counts.get(instance.status) ?? 0) + 1);
      return {
        service,
        instances,
        failing: 0,
        inFlight: 0,
        queued: 0,
        reporting: 0,
        statuses: [...counts]
          .map(([status, count]) => ({ status: statusToMessage(status), instances: count }))
          .sort((a, b) => a.status - b.status),
      };
    })
    .sort((a, b) => (a.service < b.service ? -1 : 1));
}

/** Every capability that agents offer, by name. */
export function capabilityStats(catalog: Catalog<StoredInstance>): CapabilityStats[] {
  const counts = new Map<string, { up: number; instances: number }>();
  for (const { instance } of catalog.ofService(AGENT_SERVICE)) {
    for (const capability of instance.capabilities) {
      const count = counts.get(capability) ?? { up: 0, instances: 0 };
      count.instances += 1;
      if (instance.status === 'up') count.up += 1;
      counts.set(capability, count);
    }
  }
  return [...counts]
    .map(([capability, count]) => ({ capability, ...count }))
    .sort((a, b) => (a.capability < b.capability ? -1 : 1));
}
