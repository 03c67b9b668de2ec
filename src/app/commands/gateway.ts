import type { Command } from 'commander';
import { examples } from '../../cli/cluster.js';
import type { CliIo } from '../../cli/io.js';
import { runRole } from '../run-role.js';
import { addSettings } from '../settings/options.js';
import { readSettings } from '../settings/read-settings.js';
import { memberConfig } from './member-config.js';

export function gatewayCommand(program: Command, io: CliIo): void {
  addSettings(program.command('gateway').description('runs a gateway: the one address that clients need'), 'gateway')
    .addHelpText('after', examples('troupe gateway', 'troupe gateway --port 8081 --registry registry-0:8000,registry-1:8000'))
    .action(async (_flags: unknown, command: Command) => {
      const config = await memberConfig(await readSettings('gateway', command, io));
      const { startGateway } = await import('../roles/gateway.js');
      await runRole(io.interrupted, () => startGateway(config));
    });
}
