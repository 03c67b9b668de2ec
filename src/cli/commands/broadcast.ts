import type { Command } from 'commander';
import type { Receipts } from '../../client/messages.js';
import { addClusterOptions, examples, withClient } from '../cluster.js';
import { paintFor } from '../colours.js';
import { EXIT, ExitError } from '../errors.js';
import type { CliIo } from '../io.js';
import { addMessageOptions, bareStdin, type MessageCommandOptions, messageOptions } from '../message-options.js';
import { topic as asTopic } from '../option-values.js';
import { jsonLine, printable } from '../printable.js';
import { readInput } from '../read-input.js';
import { type Column, formatTable } from '../table.js';

type Row = readonly [subscriber: string, delivered: boolean];

const COLUMNS: readonly Column<Row>[] = [
  { heading: 'SUBSCRIBER', cell: ([id]) => id },
  {
    heading: 'DELIVERED',
    cell: ([, delivered]) => (delivered ? 'yes' : 'no'),
    colour: ([, delivered]) => (delivered ? 'green' : 'red'),
  },
];

export function broadcastCommand(program: Command, io: CliIo): void {
  const command = addClusterOptions(
    program.command('broadcast').description('send a message to all that subscribe to a topic, and show who has it'),
    'table',
  ).argument('<topic>', 'names with "." between them, without wildcards', asTopic);
  addMessageOptions(command)
    .addHelpText(
      'after',
      `${examples(
        `troupe broadcast orders.created --json '{"order": 42}'`,
        "troupe broadcast news --text hello --output json | jq '.refused'",
      )}

Ends with 4 where a subscriber refused it, or a node with subscribers did not say; with 0 where all have it, or nobody subscribes.`,
    )
    .action(async (topic: string, content: string | undefined, options: MessageCommandOptions, self: Command) => {
      const input = await readInput(io, self, options, bareStdin(self, content));
      const receipts = await withClient(io, self, (client) => client.broadcast(topic, input, messageOptions(io, options)));
      if (options.output === 'json') io.stdout(jsonLine(toJson(receipts)));
      else {
        const rows: Row[] = [...receipts].sort(([a], [b]) => (a < b ? -1 : 1));
        if (rows.length > 0) io.stdout(formatTable(COLUMNS, rows, paintFor(io, 'stdout')));
        else if (receipts.silentNodes.length === 0) io.stderr(`Nobody subscribes to ${topic}.\n`);
        for (const nodeId of receipts.silentNodes)
          io.stderr(`warning: node ${printable(nodeId)} did not say what became of it there\n`);
      }
      if (receipts.silentNodes.length > 0 || [...receipts.values()].includes(false)) throw new ExitError(EXIT.refused);
    });
}

function toJson(receipts: Receipts) {
  const ids = (wanted: boolean) => [...receipts].filter(([, delivered]) => delivered === wanted).map(([id]) => id);
  return { delivered: ids(true).sort(), refused: ids(false).sort(), silentNodes: receipts.silentNodes };
}
