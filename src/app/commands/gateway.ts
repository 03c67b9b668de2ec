import type { Command } from 'commander';
import { DEFAULTS, type GatewayConfig, hostId } from '../config.js';
import { runRole } from '../run-role.js';
import {
  advertiseOption,
  hostOption,
  idOption,
  leaseTtlOption,
  logLevelOption,
  policyOption,
  portOption,
  preferZoneOption,
  readPolicy,
  registryOption,
  strategyOption,
  type TelemetryFlags,
  telemetryConfig,
  telemetryOptions,
  zoneOption,
} from './options.js';

type GatewayFlags = Omit<GatewayConfig, 'id' | 'advertiseHost' | 'leaseTtlSeconds' | 'policy' | 'ops' | 'telemetry'> &
  TelemetryFlags & {
    readonly id?: string;
    readonly advertise?: string;
    readonly leaseTtl: number;
    readonly policy?: string;
  };

export function gatewayCommand(program: Command): void {
  const command = program
    .command('gateway')
    .description('runs a gateway: the one address that clients need')
    .addOption(registryOption())
    .addOption(portOption(DEFAULTS.gatewayPort))
    .addOption(hostOption())
    .addOption(advertiseOption())
    .addOption(idOption('gateway'))
    .addOption(zoneOption())
    .addOption(leaseTtlOption())
    .addOption(strategyOption())
    .addOption(policyOption())
    .addOption(preferZoneOption())
    .addOption(logLevelOption())
    .addHelpText(
      'after',
      '\nExamples:\n  troupe gateway\n  troupe gateway --port 8081 --registry registry-0:8000,registry-1:8000',
    )
    .action(async ({ id = hostId('gateway'), advertise, leaseTtl, policy: file, ...flags }: GatewayFlags) => {
      const policy = await readPolicy(file);
      const { startGateway } = await import('../roles/gateway.js');
      const telemetry = telemetryConfig(flags);
      await runRole(() =>
        startGateway({ ...flags, ...telemetry, policy, id, advertiseHost: advertise, leaseTtlSeconds: leaseTtl }),
      );
    });
  for (const option of telemetryOptions()) command.addOption(option);
}
