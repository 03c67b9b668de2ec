import { type Command, Option } from 'commander';
import { loadAgents } from '../../node/load-agents.js';
import { DEFAULTS, hostId, type NodeConfig } from '../config.js';
import { runRole } from '../run-role.js';
import {
  advertiseOption,
  collect,
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
  wholeNumber,
  zoneOption,
} from './options.js';

type NodeFlags = Omit<
  NodeConfig,
  'agents' | 'id' | 'advertiseHost' | 'leaseTtlSeconds' | 'drainGraceMs' | 'policy' | 'ops' | 'telemetry'
> &
  TelemetryFlags & {
    readonly id?: string;
    readonly agents?: readonly string[];
    readonly advertise?: string;
    readonly leaseTtl: number;
    readonly policy?: string;
    readonly drainGrace: number;
  };

export function nodeCommand(program: Command): void {
  const command = program
    .command('node')
    .description('runs a node: hosts agents')
    .addOption(
      new Option('--agents <module>', 'module or package that exports agents; may be given several times')
        .env('TROUPE_AGENTS')
        .argParser(collect),
    )
    .addOption(registryOption())
    .addOption(portOption(DEFAULTS.nodePort))
    .addOption(hostOption())
    .addOption(advertiseOption())
    .addOption(idOption('node'))
    .addOption(zoneOption())
    .addOption(
      new Option('--weight <n>', 'its share of the agents, 1 to 1000')
        .env('TROUPE_WEIGHT')
        .default(1)
        .argParser(wholeNumber(1, 1000)),
    )
    .addOption(
      new Option('--data-dir <directory>', 'keeps the manifests of its agents here and starts them again after a restart').env(
        'TROUPE_DATA_DIR',
      ),
    )
    .addOption(
      new Option('--drain-grace <seconds>', 'how long running tasks may take when it is told to stop')
        .env('TROUPE_DRAIN_GRACE')
        .default(DEFAULTS.drainGraceMs / 1000)
        .argParser(wholeNumber(0, 3600)),
    )
    .addOption(leaseTtlOption())
    .addOption(strategyOption())
    .addOption(policyOption())
    .addOption(preferZoneOption())
    .addOption(logLevelOption())
    .addHelpText(
      'after',
      '\nExamples:\n  troupe node --agents ./hello.mjs\n  troupe node --id node-2 --port 8766 --agents ./agents.mjs --registry 127.0.0.1:8000 --data-dir ./node-2',
    )
    .action(async ({ id = hostId('node'), agents = [], advertise, leaseTtl, drainGrace, policy: file, ...flags }: NodeFlags) => {
      const policy = await readPolicy(file);
      const specifiers = agents.flatMap((entry) => entry.split(',')).filter((entry) => entry !== '');
      const definitions = (await Promise.all(specifiers.map((specifier) => loadAgents(specifier, process.cwd())))).flat();
      const config: NodeConfig = {
        ...flags,
        ...telemetryConfig(flags),
        policy,
        id,
        agents: [...new Set(definitions)],
        advertiseHost: advertise,
        leaseTtlSeconds: leaseTtl,
        drainGraceMs: drainGrace * 1000,
      };
      const { startNode } = await import('../roles/node.js');
      await runRole(() => startNode(config));
    });
  for (const option of telemetryOptions()) command.addOption(option);
}
