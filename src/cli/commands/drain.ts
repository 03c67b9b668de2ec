import { type Command, Option } from 'commander';
import { addClusterOptions, type ClusterOptions, examples, withClient } from '../cluster.js';
import type { CliIo } from '../io.js';
import { graceMs, id } from '../option-values.js';
import { jsonLine } from '../printable.js';

interface DrainOptions extends ClusterOptions {
  readonly grace: number;
}

export function drainCommand(program: Command, io: CliIo): void {
  addClusterOptions(
    program.command('drain').description('have a node refuse new work and finish what runs; answers when that is done'),
    'text',
  )
    .argument('<node>', 'its id', id)
    .addOption(new Option('--grace <duration>', 'how long running work may take').argParser(graceMs).default(20_000, '20s'))
    .addHelpText('after', examples('troupe drain node-2', 'troupe drain node-2 --grace 5m'))
    .action(async (nodeId: string, { grace, output }: DrainOptions, command: Command) => {
      const { finished, cancelled } = await withClient(io, command, (client) => client.drain(nodeId, grace));
      if (output === 'json') io.stdout(jsonLine({ nodeId, finished, cancelled }));
      else io.stdout(`${nodeId} is drained: ${finished} tasks finished, ${cancelled} cancelled\n`);
    });
}
