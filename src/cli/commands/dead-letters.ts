import { type Command, Option } from 'commander';
import type { TroupeClient } from '../../client/client.js';
import type { DeadLetter, DeadLetterList } from '../../client/messages.js';
import { systemClock } from '../../core/clock.js';
import { askNodes } from '../ask-nodes.js';
import { addClusterOptions, type ClusterOptions, examples, withClient } from '../cluster.js';
import { paintFor } from '../colours.js';
import { formatAge } from '../format-age.js';
import type { CliIo } from '../io.js';
import { listWithNodes } from '../list-instances.js';
import { count, id } from '../option-values.js';
import { jsonLine } from '../printable.js';
import { type Column, formatTable } from '../table.js';
import { readablePayload } from '../write-payload.js';

interface DeadLettersOptions extends ClusterOptions {
  readonly limit: number;
}

/** What a process keeps. */
const MAX_LETTERS = 1_000;

export function deadLettersCommand(program: Command, io: CliIo): void {
  addClusterOptions(
    program.command('dead-letters').description('list messages that could not be delivered, the youngest first'),
    'table',
  )
    .argument('[node]', 'of this node or gateway only (default: of all)', id)
    .addOption(new Option('--limit <n>', 'at most so many').argParser(count(MAX_LETTERS)).default(100))
    .addHelpText(
      'after',
      `${examples(
        'troupe dead-letters',
        'troupe dead-letters node-1 --limit 10',
        "troupe dead-letters --output json | jq '.[] | {to, reason, payload}'",
      )}

Each process keeps its last 1,000, of 8 MiB together, for as long as it lives; --output json shows what was in them.`,
    )
    .action(async (only: string | undefined, { output, limit }: DeadLettersOptions, command: Command) => {
      const lists =
        only === undefined
          ? await ofAll(io, command, limit)
          : [await withClient(io, command, (client) => client.deadLetters(only, limit))];
      const letters = lists.flatMap((list) => list.letters).sort((a, b) => b.time.getTime() - a.time.getTime());
      const shown = letters.slice(0, limit);
      if (output === 'json') {
        io.stdout(jsonLine(shown.map(toJson)));
        return;
      }
      if (shown.length === 0) io.stderr('No dead letters.\n');
      else io.stdout(formatTable(columns((io.clock ?? systemClock).now()), shown, paintFor(io, 'stdout')));
      const total = lists.reduce((sum, list) => sum + list.total, 0);
      if (total > shown.length) io.stderr(`${shown.length} of ${total}.\n`);
    });
}

async function ofAll(io: CliIo, command: Command, limit: number): Promise<readonly DeadLetterList[]> {
  const processes = await withClient(io, command, async (client: TroupeClient) => {
    const lists = await listWithNodes(io, client, 'gateway');
    return lists.flat().map((each) => each.id);
  });
  return [...(await askNodes(io, command, processes, (client, nodeId) => client.deadLetters(nodeId, limit))).values()];
}

function columns(nowMs: number): readonly Column<DeadLetter>[] {
  return [
    { heading: 'AGE', cell: ({ time }) => formatAge(time, nowMs) },
    { heading: 'NODE', cell: ({ nodeId }) => nodeId },
    { heading: 'FROM', cell: ({ from }) => from },
    { heading: 'TO', cell: ({ to }) => to },
    { heading: 'TOPIC', cell: ({ topic }) => topic },
    { heading: 'REASON', cell: ({ reason }) => reason, colour: () => 'red' },
    { heading: 'WHY', cell: ({ description }) => description },
  ];
}

function toJson(letter: DeadLetter) {
  const { number, time, nodeId, from, to, topic, messageId, reason, description } = letter;
  return { nodeId, number, time, from, to, topic, messageId, reason, description, payload: readablePayload(letter) };
}
