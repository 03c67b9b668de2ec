import type { Command } from 'commander';
import { systemClock } from '../../core/clock.js';
import type { CapabilityStats, GetStatsResponse, ServiceStats } from '../../gen/troupe/v1/registry.js';
import { msFromDuration } from '../../rpc/codec/time.js';
import { addClusterOptions, type ClusterOptions, examples, withClient } from '../cluster.js';
import { type Paint, paintFor } from '../colours.js';
import { formatAge } from '../format-age.js';
import { formatMs } from '../format-ms.js';
import { statusName } from '../instance-view.js';
import type { CliIo } from '../io.js';
import { type Column, formatTable } from '../table.js';

export function statsCommand(program: Command, io: CliIo): void {
  addClusterOptions(program.command('stats').description('show counts of the cluster, as its registry has them'), 'table')
    .addHelpText('after', examples('troupe stats', "troupe stats --output json | jq '.capabilities'"))
    .action(async ({ output }: ClusterOptions, command: Command) => {
      const stats = await withClient(io, command, (client) => client.stats());
      if (output === 'json') io.stdout(`${JSON.stringify(toJson(stats))}\n`);
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
];

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
  ];
  const parts = [formatTable(facts, [stats], paint)];
  if (stats.services.length > 0) parts.push(formatTable(SERVICES, stats.services, paint));
  if (stats.capabilities.length > 0) parts.push(formatTable(CAPABILITIES, stats.capabilities, paint));
  return parts.join('\n');
}

function toJson(stats: GetStatsResponse) {
  return {
    instances: stats.instances,
    services: stats.services.map(({ service, instances, statuses }) => ({
      service,
      instances,
      statuses: Object.fromEntries(statuses.map((each) => [statusName(each.status), each.instances])),
    })),
    capabilities: stats.capabilities.map(({ capability, up, instances }) => ({ capability, agents: instances, up })),
    watchers: stats.watchers,
    leases: stats.keepAlives,
    revision: Number(stats.revision),
    ageMs: stats.age === undefined ? null : msFromDuration(stats.age),
    startedAt: stats.startedAt ?? null,
  };
}
