import type { Command } from 'commander';
import { systemClock } from '../../core/clock.js';
import { CircuitState, circuitStateToJSON } from '../../gen/troupe/v1/health.js';
import type { CapabilityStats, GetStatsResponse, ReportedCircuit, ServiceStats } from '../../gen/troupe/v1/registry.js';
import { msFromDuration } from '../../rpc/codec/time.js';
import { addClusterOptions, type ClusterOptions, examples, withClient } from '../cluster.js';
import { type Colour, type Paint, paintFor } from '../colours.js';
import { formatAge } from '../format-age.js';
import { formatMs } from '../format-ms.js';
import { statusName } from '../instance-view.js';
import type { CliIo } from '../io.js';
import { jsonLine } from '../printable.js';
import { type Column, formatTable } from '../table.js';

export function statsCommand(program: Command, io: CliIo): void {
  addClusterOptions(program.command('stats').description('show counts of the cluster, as its registry has them'), 'table')
    .addHelpText('after', examples('troupe stats', "troupe stats --output json | jq '.capabilities'"))
    .action(async ({ output }: ClusterOptions, command: Command) => {
      const stats = await withClient(io, command, (client) => client.stats());
      if (output === 'json') io.stdout(jsonLine(toJson(stats)));
      else io.stdout(toText(stats, (io.clock ?? systemClock).now(), paintFor(io, 'stdout')));
    });
}

const SERVICES: readonly Column<ServiceStats>[] = [
  { heading: 'SERVICE', cell: ({ service }) => service },
  { heading: 'INSTANCES', cell: ({ instances }) => instances },
  {
    heading: 'STATUSES',
    cell: ({ statuses }) => statuses.map(({ status, instances }) => `${instances} ${statusName(status)}`).join(', '),
  },
  { heading: 'FAILING', cell: ({ failing }) => failing, colour: ({ failing }) => (failing === 0 ? undefined : 'red') },
  // Nothing is known of those that renew their leases through another registry.
  { heading: 'IN-FLIGHT', cell: ({ inFlight, reporting }) => (reporting === 0 ? '-' : inFlight) },
  { heading: 'QUEUED', cell: ({ queued, reporting }) => (reporting === 0 ? '-' : queued) },
  { heading: 'REPORTING', cell: ({ reporting }) => reporting },
];

function circuitColumns(nowMs: number): readonly Column<ReportedCircuit>[] {
  return [
    { heading: 'REPORTER', cell: ({ reporterService, reporterId }) => `${reporterService}/${reporterId}` },
    { heading: 'CIRCUIT', cell: ({ circuit }) => `${circuit?.service}/${circuit?.id}` },
    {
      heading: 'STATE',
      cell: ({ circuit }) => stateName(circuit?.state),
      colour: ({ circuit }) => circuitColour(circuit?.state),
    },
    { heading: 'FAILURES', cell: ({ circuit }) => circuit?.consecutiveFailures ?? 0 },
    { heading: 'NEXT-TRY', cell: ({ circuit }) => formatUntil(circuit?.nextTryAt, nowMs) },
  ];
}

function circuitColour(state: CircuitState | undefined): Colour {
  return state === CircuitState.CIRCUIT_STATE_OPEN ? 'red' : 'yellow';
}

/** `HALF_OPEN`, as the contract names it, without its prefix. */
function stateName(state: CircuitState | undefined): string {
  return state === undefined ? '' : circuitStateToJSON(state).replace('CIRCUIT_STATE_', '');
}

function formatUntil(at: Date | undefined, nowMs: number): string {
  if (at === undefined) return '-';
  return at.getTime() <= nowMs ? 'now' : `in ${formatMs(at.getTime() - nowMs)}`;
}

const CAPABILITIES: readonly Column<CapabilityStats>[] = [
  { heading: 'CAPABILITY', cell: ({ capability }) => capability },
  { heading: 'AGENTS', cell: ({ instances }) => instances },
  { heading: 'UP', cell: ({ up }) => up, colour: ({ up }) => (up === 0 ? 'red' : 'green') },
];

function toText(stats: GetStatsResponse, nowMs: number, paint: Paint): string {
  const facts: readonly Column<GetStatsResponse>[] = [
    { heading: 'INSTANCES', cell: ({ instances }) => instances },
    { heading: 'WATCHERS', cell: ({ watchers }) => watchers },
    { heading: 'LEASES', cell: ({ keepAlives }) => keepAlives },
    { heading: 'REVISION', cell: ({ revision }) => String(revision) },
    { heading: 'AGE', cell: ({ age }) => (age === undefined ? '-' : formatMs(msFromDuration(age))) },
    { heading: 'STARTED', cell: ({ startedAt }) => formatAge(startedAt, nowMs) },
    { heading: 'LEADING', cell: ({ leading }) => (leading ? 'yes' : 'no') },
  ];
  const parts = [formatTable(facts, [stats], paint)];
  if (stats.services.length > 0) parts.push(formatTable(SERVICES, stats.services, paint));
  if (stats.capabilities.length > 0) parts.push(formatTable(CAPABILITIES, stats.capabilities, paint));
  if (stats.circuits.length > 0) parts.push(formatTable(circuitColumns(nowMs), stats.circuits, paint));
  return parts.join('\n');
}

function toJson(stats: GetStatsResponse) {
  return {
    instances: stats.instances,
    services: stats.services.map(({ service, instances, statuses, failing, inFlight, queued, reporting }) => ({
      service,
      instances,
      statuses: Object.fromEntries(statuses.map((each) => [statusName(each.status), each.instances])),
      failing,
      inFlight,
      queued,
      reporting,
    })),
    capabilities: stats.capabilities.map(({ capability, up, instances }) => ({ capability, agents: instances, up })),
    watchers: stats.watchers,
    leases: stats.keepAlives,
    revision: Number(stats.revision),
    ageMs: stats.age === undefined ? null : msFromDuration(stats.age),
    startedAt: stats.startedAt ?? null,
    leading: stats.leading,
    circuits: stats.circuits.map(toCircuitJson),
  };
}

function toCircuitJson({ reporterService, reporterId, circuit }: ReportedCircuit) {
  return {
    reporter: { service: reporterService, id: reporterId },
    service: circuit?.service ?? '',
    id: circuit?.id ?? '',
    state: stateName(circuit?.state),
    consecutiveFailures: circuit?.consecutiveFailures ?? 0,
    successes: Number(circuit?.successes ?? 0),
    failures: Number(circuit?.failures ?? 0),
    rejected: Number(circuit?.rejected ?? 0),
    openings: circuit?.openings ?? 0,
    since: circuit?.since ?? null,
    nextTryAt: circuit?.nextTryAt ?? null,
    lastFailure: circuit?.lastFailure ?? '',
  };
}
