import type { GetStatsResponse, ServiceStats } from '../gen/troupe/v1/registry.js';
import { MAX_CIRCUITS } from '../rpc/codec/circuit.js';

/**
 * What several replicas tell, as one: the counts of the cluster from the newest, since all see the same store; summed up what each knows of
 * those that renew or watch through it.
 */
export function mergeStats(answers: readonly [GetStatsResponse, ...GetStatsResponse[]]): GetStatsResponse {
  const newest = answers.reduce((best, each) => (each.revision > best.revision ? each : best));
  if (answers.length === 1) return newest;
  const sum = (of: (answer: GetStatsResponse) => number) => answers.reduce((total, answer) => total + of(answer), 0);
  return {
    ...newest,
    watchers: sum(({ watchers }) => watchers),
    keepAlives: sum(({ keepAlives }) => keepAlives),
    leading: answers.some(({ leading }) => leading),
    circuits: answers.flatMap(({ circuits }) => circuits).slice(0, MAX_CIRCUITS),
    services: newest.services.map((service) => ({
      ...service,
      inFlight: sum((answer) => serviceOf(answer, service)?.inFlight ?? 0),
      queued: sum((answer) => serviceOf(answer, service)?.queued ?? 0),
      reporting: sum((answer) => serviceOf(answer, service)?.reporting ?? 0),
    })),
  };
}

function serviceOf({ services }: GetStatsResponse, { service }: ServiceStats): ServiceStats | undefined {
  return services.find((each) => each.service === service);
}
