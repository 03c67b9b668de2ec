import type { Command } from 'commander';
import type { TroupeClient } from '../../client/client.js';
import { systemClock } from '../../core/clock.js';
import { isTroupeError } from '../../core/errors.js';
import { type AgentRow, agentRows } from '../agent-rows.js';
import { askNodes } from '../ask-nodes.js';
import { addClusterOptions, type ClusterOptions, examples, withClient } from '../cluster.js';
import { type Colour, paintFor } from '../colours.js';
import { formatAge } from '../format-age.js';
import type { CliIo } from '../io.js';
import { listWithNodes } from '../list-instances.js';
import { id } from '../option-values.js';
import { jsonLine, printable } from '../printable.js';
import { type Column, formatTable } from '../table.js';

interface AgentsOptions extends ClusterOptions {
  readonly node?: string;
}

export function agentsCommand(program: Command, io: CliIo): void {
  addClusterOptions(program.command('agents').description('list the agents'), 'table')
    .option('--node <id>', 'of this node only', id)
    .addHelpText(
      'after',
      examples(
        'troupe agents',
        'troupe agents --node node-1',
        "troupe agents --output json | jq '.[] | {id, nodeId, completed}'",
      ),
    )
    .action(async ({ output, node }: AgentsOptions, command: Command) => {
      const rows = await withClient(io, command, (client) => listAgents(io, command, client, node));
      if (output === 'json') {
        io.stdout(jsonLine(rows.map(toJson)));
        return;
      }
      if (rows.length === 0) io.stderr('No agents.\n');
      else io.stdout(formatTable(columns((io.clock ?? systemClock).now()), rows, paintFor(io, 'stdout')));
      for (const { id: agentId, failure } of rows)
        if (failure !== '') io.stderr(`${printable(`${agentId} failed: ${failure}`)}\n`);
    });
}

async function listAgents(io: CliIo, command: Command, client: TroupeClient, only: string | undefined): Promise<AgentRow[]> {
  const [nodes, instances] = await listWithNodes(io, client, 'agent');
  const nodeIds = only === undefined ? nodes.map(({ id: nodeId }) => nodeId) : [only];
  let unknown: unknown;
  const told = await askNodes(io, command, nodeIds, async (asked, nodeId) => {
    try {
      return await asked.agentsOf(nodeId);
    } catch (error) {
      // Gone since it was listed; or a name that the user got wrong.
      if (!isTroupeError(error, 'UNKNOWN_NODE')) throw error;
      unknown = error;
      return [];
    }
  });
  if (only !== undefined && unknown !== undefined) throw unknown;
  return agentRows(
    instances.filter(({ nodeId }) => only === undefined || nodeId === only),
    [...told.values()].flat(),
  );
}

function columns(nowMs: number): readonly Column<AgentRow>[] {
  return [
    { heading: 'ID', cell: (row) => row.id },
    { heading: 'KIND', cell: (row) => row.kind },
    { heading: 'NODE', cell: (row) => row.nodeId },
    { heading: 'STATE', cell: (row) => row.state, colour: ({ state }) => stateColour(state) },
    { heading: 'CAPABILITIES', cell: (row) => row.capabilities.join(',') },
    { heading: 'IN-FLIGHT', cell: (row) => row.inFlight ?? '-' },
    { heading: 'QUEUED', cell: (row) => row.queued ?? '-' },
    { heading: 'COMPLETED', cell: (row) => row.completed ?? '-' },
    { heading: 'FAILED', cell: (row) => row.failed ?? '-' },
    { heading: 'REFUSED', cell: (row) => row.refused ?? '-' },
    { heading: 'MESSAGES', cell: (row) => row.messagesHandled ?? '-' },
    { heading: 'CIRCUIT', cell: (row) => row.circuit ?? '-', colour: ({ circuit }) => circuitColour(circuit) },
    { heading: 'AGE', cell: (row) => formatAge(row.registeredAt, nowMs) },
  ];
}

function stateColour(state: string): Colour {
  if (state === 'RUNNING') return 'green';
  return state === 'FAILED' ? 'red' : 'yellow';
}

function circuitColour(circuit: string | undefined): Colour | undefined {
  if (circuit === undefined) return undefined;
  if (circuit === 'CLOSED') return 'green';
  return circuit === 'OPEN' ? 'red' : 'yellow';
}

const UNKNOWN = {
  inFlight: null,
  queued: null,
  completed: null,
  failed: null,
  refused: null,
  messagesInFlight: null,
  messagesQueued: null,
  messagesHandled: null,
  messagesRefused: null,
  circuit: null,
};

/** What only the node knows is null while it does not answer. */
function toJson({ registeredAt, ...row }: AgentRow) {
  const { id: agentId, kind, nodeId, state, failure, capabilities, ...told } = row;
  return { id: agentId, kind, nodeId, state, failure, capabilities, ...UNKNOWN, ...told, registeredAt: registeredAt ?? null };
}
