import type { Command } from 'commander';
import { examples } from '../../cli/cluster.js';
import type { CliIo } from '../../cli/io.js';
import { loadAllAgents } from '../../node/load-agents.js';
import type { NodeConfig } from '../config.js';
import { ownAgents } from '../own-agents.js';
import { runRole } from '../run-role.js';
import { addSettings } from '../settings/options.js';
import { readSettings } from '../settings/read-settings.js';
import { memberConfig } from './member-config.js';

export function nodeCommand(program: Command, io: CliIo): void {
  addSettings(program.command('node').description('runs a node: hosts agents'), 'node')
    .addHelpText(
      'after',
      examples(
        'troupe node --agents ./hello.mjs',
        'troupe node --id node-2 --port 8766 --agents ./agents.mjs --registry 127.0.0.1:8000 --data-dir ./node-2',
        'troupe node --agents ./hello.mjs --deploy-kinds greeter',
      ),
    )
    .action(async (_flags: unknown, command: Command) => {
      const settings = await readSettings('node', command, io);
      const { id, agents = [], weight, dataDir, deployKinds = [], drainGrace } = settings.values;
      const member = await memberConfig(settings);
      const definitions = await loadAllAgents(agents, process.cwd());
      const config: NodeConfig = {
        ...member,
        agents: definitions,
        weight,
        dataDir,
        ownAgents: ownAgents(id, deployKinds, definitions),
        drainGraceMs: drainGrace * 1000,
      };
      const { startNode } = await import('../roles/node.js');
      await runRole(io.interrupted, () => startNode(config));
    });
}
