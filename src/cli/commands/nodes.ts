import type { Command } from 'commander';
import { systemClock } from '../../core/clock.js';
import type { Instance } from '../../gen/troupe/v1/instance.js';
import type { GetStatusResponse } from '../../gen/troupe/v1/node.js';
import { askNodes } from '../ask-nodes.js';
import { addClusterOptions, type ClusterOptions, examples, withClient } from '../cluster.js';
import { type Colour, paintFor } from '../colours.js';
import { formatAge } from '../format-age.js';
import { endpointOf, statusColour, statusName } from '../instance-view.js';
import type { CliIo } from '../io.js';
import { listWithNodes } from '../list-instances.js';
import { jsonLine } from '../printable.js';
import { type Column, formatTable } from '../table.js';

interface NodeRow {
  readonly node: Instance;
  /** Registered agents. */
  readonly agents: number;
  /** Absent while the node does not answer. */
  readonly status: GetStatusResponse | undefined;
}

export function nodesCommand(program: Command, io: CliIo): void {
  addClusterOptions(program.command('nodes').description('list the nodes'), 'table')
    .addHelpText('after', examples('troupe nodes', "troupe nodes --output json | jq -r '.[].id'"))
    .action(async ({ output }: ClusterOptions, command: Command) => {
      const rows = await withClient(io, command, async (client) => {
        const [nodes, agents] = await listWithNodes(io, client, 'agent');
        const counts = new Map<string, number>();
        for (const { nodeId } of agents) counts.set(nodeId, (counts.get(nodeId) ?? 0) + 1);
        const ids = nodes.map(({ id }) => id);
        const statuses = await askNodes(io, command, ids, (asked, id) => asked.status(id));
        return nodes.map((node): NodeRow => ({ node, agents: counts.get(node.id) ?? 0, status: statuses.get(node.id) }));
      });
      if (output === 'json') io.stdout(jsonLine(rows.map(toJson)));
      else if (rows.length === 0) io.stderr('No nodes.\n');
      else io.stdout(formatTable(columns((io.clock ?? systemClock).now()), rows, paintFor(io, 'stdout')));
    });
}

function columns(nowMs: number): readonly Column<NodeRow>[] {
  return [
    { heading: 'ID', cell: ({ node }) => node.id },
    { heading: 'ADDRESS', cell: ({ node }) => endpointOf(node) },
    { heading: 'STATUS', cell: ({ node }) => statusText(node), colour: ({ node }) => statusColourOf(node) },
    { heading: 'ZONE', cell: ({ node }) => node.zone },
    { heading: 'AGENTS', cell: ({ agents }) => agents },
    { heading: 'IN-FLIGHT', cell: ({ status }) => status?.inFlight ?? '-' },
    { heading: 'KINDS', cell: ({ node }) => node.capabilities.join(',') },
    { heading: 'AGE', cell: ({ node }) => formatAge(node.registeredAt, nowMs) },
    { heading: 'HEARTBEAT', cell: ({ node }) => formatAge(node.lastHeartbeatAt, nowMs) },
    { heading: 'SCORE', cell: ({ node }) => node.score.toFixed(2) },
  ];
}

/** What the registry's probes found stands beside what the node says itself. */
function statusText({ status, probe }: Instance): string {
  return probe?.failing === true ? `${statusName(status)} (failing)` : statusName(status);
}

function statusColourOf({ status, probe }: Instance): Colour {
  return probe?.failing === true ? 'red' : statusColour(status);
}

function toJson({ node, agents, status }: NodeRow) {
  return {
    id: node.id,
    address: endpointOf(node),
    status: statusName(node.status),
    zone: node.zone,
    weight: node.weight,
    agents,
    inFlight: status?.inFlight ?? null,
    queued: status?.queued ?? null,
    draining: status?.draining ?? null,
    version: status?.version ?? null,
    kinds: node.capabilities,
    metadata: Object.fromEntries(node.metadata),
    registeredAt: node.registeredAt ?? null,
    lastHeartbeatAt: node.lastHeartbeatAt ?? null,
    incarnation: Number(node.incarnation),
    revision: Number(node.revision),
    score: node.score,
    probe: node.probe ?? null,
  };
}
