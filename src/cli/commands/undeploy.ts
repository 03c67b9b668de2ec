import { type Command, Option } from 'commander';
import { addClusterOptions, type ClusterOptions, examples, withClient } from '../cluster.js';
import type { CliIo } from '../io.js';
import { graceMs, id } from '../option-values.js';
import { jsonLine, printable } from '../printable.js';

interface UndeployOptions extends ClusterOptions {
  readonly grace: number;
}

export function undeployCommand(program: Command, io: CliIo): void {
  addClusterOptions(program.command('undeploy').description('stop an agent'), 'text')
    .argument('<agent>', 'its id', id)
    .addOption(
      new Option('--grace <duration>', 'how long it may finish what it works on').argParser(graceMs).default(10_000, '10s'),
    )
    .addHelpText('after', examples('troupe undeploy data-1', 'troupe undeploy data-2 --grace 1m'))
    .action(async (agentId: string, { grace, output }: UndeployOptions, command: Command) => {
      const { nodeId, completed, failed } = await withClient(io, command, (client) => client.undeploy(agentId, grace));
      if (output === 'json') io.stdout(jsonLine({ id: agentId, nodeId, completed: Number(completed), failed: Number(failed) }));
      else io.stdout(`${agentId} stopped on ${printable(nodeId)}: ${completed} tasks completed, ${failed} failed\n`);
    });
}
