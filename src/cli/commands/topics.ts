import type { Command } from 'commander';
import type { TopicInterest } from '../../client/messages.js';
import { addClusterOptions, type ClusterOptions, examples, withClient } from '../cluster.js';
import { paintFor } from '../colours.js';
import type { CliIo } from '../io.js';
import { jsonLine } from '../printable.js';
import { type Column, formatTable } from '../table.js';

const COLUMNS: readonly Column<TopicInterest>[] = [
  { heading: 'TOPIC', cell: ({ pattern }) => pattern },
  { heading: 'NODES', cell: ({ nodeIds }) => nodeIds.join(',') },
];

export function topicsCommand(program: Command, io: CliIo): void {
  addClusterOptions(program.command('topics').description('list the topics that somebody subscribes to, and where'), 'table')
    .addHelpText('after', examples('troupe topics', "troupe topics --output json | jq -r '.[].topic'"))
    .action(async ({ output }: ClusterOptions, command: Command) => {
      const topics = await withClient(io, command, (client) => client.topics());
      if (output === 'json') io.stdout(jsonLine(topics.map(({ pattern, nodeIds }) => ({ topic: pattern, nodeIds }))));
      else if (topics.length === 0) io.stderr('Nobody subscribes to any topic.\n');
      else io.stdout(formatTable(COLUMNS, topics, paintFor(io, 'stdout')));
    });
}
