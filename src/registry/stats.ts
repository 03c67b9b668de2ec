import { AGENT_SERVICE, GATEWAY_SERVICE, type InstanceStatus, instanceKeyText, NODE_SERVICE } from '../core/instance.js';
import type { Catalog } from '../discovery/catalog.js';
import type { CapabilityStats, MemberReport, ReportedCircuit, ServiceStats } from '../gen/troupe/v1/registry.js';
import { MAX_CIRCUITS } from '../rpc/codec/circuit.js';
import { statusToMessage } from '../rpc/codec/instance.js';
import type { StoredInstance } from './stored-instance.js';

/** What the member that renews a lease last told; undefined when nothing is known. */
export type ReportOf = (leaseId: bigint) => MemberReport | undefined;

/** Those that run Troupe and tell how they are. */
const MEMBER_SERVICES: ReadonlySet<string> = new Set([NODE_SERVICE, GATEWAY_SERVICE]);

/** Every service that has instances, by name. */
export function serviceStats(catalog: Catalog<StoredInstance>, reportOf: ReportOf): ServiceStats[] {
  return [...catalog.serviceSizes()]
    .map(([service, instances]) => {
      const counts = new Map<InstanceStatus, number>();
      const sums = { failing: 0, inFlight: 0, queued: 0, reporting: 0 };
      for (const { instance, leaseId } of catalog.ofService(service)) {
        counts.set(instance.status, (counts.get(instance.status) ?? 0) + 1);
        if (instance.probe?.failing === true) sums.failing += 1;
        const report = MEMBER_SERVICES.has(service) ? reportOf(leaseId) : undefined;
        if (report === undefined) continue;
        sums.reporting += 1;
        sums.inFlight += report.inFlight;
        sums.queued += report.queued;
      }
      const statuses = [...counts]
        .map(([status, count]) => ({ status: statusToMessage(status), instances: count }))
        .sort((a, b) => a.status - b.status);
      return { service, instances, statuses, ...sums, inFlight: countable(sums.inFlight), queued: countable(sums.queued) };
    })
    .sort((a, b) => (a.service < b.service ? -1 : 1));
}

/** What a uint32 can say: members are not checked for telling too much. */
function countable(sum: number): number {
  return Math.min(sum, 2 ** 32 - 1);
}

/** The circuits that members tell of, by member and by what they guard; the first 1,000. */
export function reportedCircuits(catalog: Catalog<StoredInstance>, reportOf: ReportOf): ReportedCircuit[] {
  const circuits: ReportedCircuit[] = [];
  for (const service of MEMBER_SERVICES) {
    for (const { instance, leaseId } of catalog.ofService(service)) {
      for (const circuit of reportOf(leaseId)?.circuits ?? []) {
        circuits.push({ reporterService: service, reporterId: instance.id, circuit });
      }
    }
  }
  return circuits
    .map((reported) => ({ reported, order: orderOf(reported) }))
    .sort((a, b) => (a.order < b.order ? -1 : 1))
    .slice(0, MAX_CIRCUITS)
    .map(({ reported }) => reported);
}

function orderOf({ reporterService, reporterId, circuit }: ReportedCircuit): string {
  const subject = { service: circuit?.service ?? '', id: circuit?.id ?? '' };
  return `${instanceKeyText({ service: reporterService, id: reporterId })} ${instanceKeyText(subject)}`;
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
