import type { Command } from 'commander';
import { systemClock } from '../../core/clock.js';
import { HealthState, type HealthTransition, healthStateToJSON, type InstanceHealth } from '../../gen/troupe/v1/health.js';
import { addClusterOptions, type ClusterOptions, examples, interruptible, withClient } from '../cluster.js';
import { type Colour, type Paint, paintFor } from '../colours.js';
import { formatAge } from '../format-age.js';
import { formatMs } from '../format-ms.js';
import type { CliIo } from '../io.js';
import { id } from '../option-values.js';
import { jsonLine, printable } from '../printable.js';
import { type Column, formatTable } from '../table.js';

interface HealthOptions extends ClusterOptions {
  readonly node?: string;
  readonly watch?: true;
}

export function healthCommand(program: Command, io: CliIo): void {
  addClusterOptions(
    program.command('health').description('show which nodes and agents a router takes for not healthy, and why'),
    'table',
  )
    .option('--node <id>', 'as this node sees them (default: as the gateway at the address does)', id)
    .option('--watch', 'go on, and print every transition')
    .addHelpText(
      'after',
      examples('troupe health', 'troupe health --watch', 'troupe health --watch --output json | jq \'select(.to == "EJECTED")\''),
    )
    .action(async ({ output, node, watch }: HealthOptions, command: Command) => {
      const asJson = output === 'json';
      await withClient(io, command, async (client) => {
        if (watch === true) {
          await interruptible(io, async () => {
            for await (const { event } of client.watchHealth(node, io.signal)) {
              if (event?.$case === 'current')
                io.stdout(asJson ? jsonLine(currentObject(event.value)) : `${sentence(event.value)}\n`);
              if (event?.$case === 'transition')
                io.stdout(asJson ? jsonLine(transitionObject(event.value)) : `${changeSentence(event.value)}\n`);
            }
          });
          return;
        }
        const { unhealthy } = await client.status(node);
        if (asJson) io.stdout(jsonLine(unhealthy.map(currentObject)));
        else if (unhealthy.length === 0) io.stderr('All nodes and agents are healthy.\n');
        else io.stdout(table(unhealthy, (io.clock ?? systemClock).now(), paintFor(io, 'stdout')));
      });
    });
}

function table(unhealthy: readonly InstanceHealth[], nowMs: number, paint: Paint): string {
  const columns: readonly Column<InstanceHealth>[] = [
    { heading: 'SERVICE', cell: ({ service }) => service },
    { heading: 'ID', cell: (health) => health.id },
    { heading: 'NODE', cell: ({ nodeId }) => nodeId },
    { heading: 'HEALTH', cell: stateOf, colour: (health) => colourOf(stateOf(health)) },
    { heading: 'SINCE', cell: ({ since }) => formatAge(since, nowMs) },
    {
      heading: 'LOOKS-AGAIN-IN',
      cell: ({ until }) => (until === undefined ? '-' : formatMs(Math.max(0, until.getTime() - nowMs))),
    },
    { heading: 'WHY', cell: ({ reason }) => reason },
  ];
  return formatTable(columns, unhealthy, paint);
}

function stateOf({ state }: Pick<InstanceHealth, 'state'>): string {
  return healthStateToJSON(state).replace('HEALTH_STATE_', '');
}

function colourOf(state: string): Colour {
  return state === 'SUSPECT' || state === 'EJECTED' || state === 'CIRCUIT_OPEN' || state === 'GONE' ? 'red' : 'yellow';
}

function sentence(health: InstanceHealth): string {
  const where = health.nodeId === '' ? '' : ` on ${health.nodeId}`;
  const why = health.reason === '' ? '' : `: ${health.reason}`;
  return printable(`${health.since?.toISOString() ?? ''} ${health.service} ${health.id}${where} is ${stateOf(health)}${why}`);
}

function changeSentence({ instance, from }: HealthTransition): string {
  if (instance === undefined) return '';
  return `${sentence(instance)} (${isNew(from) ? 'new' : `was ${stateOf({ state: from })}`})`;
}

function currentObject(health: InstanceHealth) {
  const { service, id: instance, nodeId, reason, since, until } = health;
  return { service, id: instance, nodeId, state: stateOf(health), reason, since: since ?? null, until: until ?? null };
}

function transitionObject({ instance, from }: HealthTransition) {
  if (instance === undefined) return {};
  const { state, ...rest } = currentObject(instance);
  return { ...rest, from: isNew(from) ? null : stateOf({ state: from }), to: state };
}

function isNew(from: HealthState): boolean {
  return from === HealthState.HEALTH_STATE_UNSPECIFIED;
}
