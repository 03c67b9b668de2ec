import { type Command, Option } from 'commander';
import type { ManifestInput } from '../../agent/manifest.js';
import { connect, type TroupeClient } from '../../client/client.js';
import { messageOf } from '../../core/errors.js';
import { loadAllAgents } from '../../node/load-agents.js';
import type { LogLevel } from '../../telemetry/logger.js';
import { DEFAULTS } from '../config.js';
import { TEAM, TEAM_MODULE } from '../demo/team.js';
import { LocalCluster } from '../dev/cluster.js';
import { gatewayInStep } from '../dev/in-step.js';
import type { SupervisorEvent } from '../dev/supervisor.js';
import { stopSignal } from '../run-role.js';
import {
  collect,
  hostOption,
  leaseTtlOption,
  logLevelOption,
  parsePort,
  policyOption,
  readPolicy,
  strategyOption,
  wholeNumber,
} from './options.js';

interface DevFlags {
  readonly agents?: readonly string[];
  readonly deploy: boolean;
  readonly nodes: number;
  readonly host: string;
  readonly port: number;
  readonly nodePort: number;
  readonly registryPort: number;
  readonly leaseTtl: number;
  readonly strategy: string;
  readonly policy?: string;
  readonly logLevel: LogLevel;
}

const CATCH_UP_MS = 5_000;

export function devCommand(program: Command): void {
  program
    .command('dev')
    .description('runs a whole cluster on this machine: registry, nodes and a gateway, each its own process')
    .addOption(
      new Option(
        '--agents <module>',
        'module or package that exports agents; may be given several times (default: the example agents)',
      )
        .env('TROUPE_AGENTS')
        .argParser(collect),
    )
    .addOption(new Option('--no-deploy', 'loads agents without deploying one of each kind'))
    .addOption(new Option('--nodes <n>', 'how many nodes, 1 to 32').default(3).argParser(wholeNumber(1, 32)))
    .addOption(hostOption())
    .addOption(
      new Option('--port <port>', 'port of the gateway; 0 picks a free one')
        .env('TROUPE_PORT')
        .default(DEFAULTS.gatewayPort)
        .argParser(parsePort),
    )
    .addOption(
      new Option('--node-port <port>', 'port of the first node, the others follow; 0 picks free ones')
        .default(DEFAULTS.nodePort)
        .argParser(parsePort),
    )
    .addOption(
      new Option('--registry-port <port>', 'port of the registry; 0 picks a free one')
        .default(DEFAULTS.registryPort)
        .argParser(parsePort),
    )
    .addOption(leaseTtlOption())
    .addOption(strategyOption())
    .addOption(policyOption())
    .addOption(logLevelOption('warn'))
    .addHelpText(
      'after',
      '\nExamples:\n  troupe dev\n  troupe dev --agents ./hello.mjs --nodes 2\n  troupe dev --port 0 --node-port 0 --registry-port 0',
    )
    .action(runDev);
}

async function runDev(flags: DevFlags): Promise<void> {
  const asked = stopSignal();
  // What is wrong with it is told here, once, and not by every process.
  await readPolicy(flags.policy);
  const modules = flags.agents ?? [TEAM_MODULE];
  // A module that does not load is told here, once, and not by every node.
  const team = flags.agents === undefined ? TEAM : oneOfEach(await loadAllAgents(modules, process.cwd()));
  const cluster = new LocalCluster({
    ...flags,
    gatewayPort: flags.port,
    leaseTtlSeconds: flags.leaseTtl,
    agents: modules,
    cwd: process.cwd(),
    restart: true,
    onLog: (name, line) => say(`${name}: ${line}`),
    onEvent: (event) => say(describe(event)),
  });
  try {
    const stopping = new AbortController();
    const stop = asked.then(() => stopping.abort());
    const up = start(cluster, flags, flags.deploy ? team : [], stopping.signal);
    up.catch(() => undefined);
    await Promise.race([up.then(() => stop), stop]);
  } finally {
    await cluster.stop();
  }
}

async function start(
  cluster: LocalCluster,
  { host, registryPort }: DevFlags,
  team: readonly ManifestInput[],
  signal: AbortSignal,
): Promise<void> {
  const starting = cluster.startRegistry();
  // Where the registry will be is known, so nobody needs to wait for it.
  const address = registryPort === 0 ? (await starting).grpc : `${host}:${registryPort}`;
  const [registry, nodes, gateway] = await Promise.all([starting, cluster.startNodes(address), cluster.startGateway(address)]);
  const troupe = connect(gateway.grpc);
  signal.addEventListener('abort', () => troupe.close(), { once: true });
  try {
    await gatewayInStep(troupe, CATCH_UP_MS);
    await deployAll(troupe, team, signal);
  } finally {
    troupe.close();
  }
  process.stdout.write(
    `${JSON.stringify({ ...gateway, role: 'dev', id: 'dev', pid: process.pid, processes: [registry, ...nodes, gateway] })}\n`,
  );
  say(
    `a cluster of ${nodes.length} nodes is up; its gateway is ${gateway.grpc}. Ctrl-C stops it. Look at it with: troupe agents --address ${gateway.grpc}`,
  );
}

/** In order, so that each sees where the one before went; each on a node that is there by then. */
async function deployAll(troupe: TroupeClient, team: readonly ManifestInput[], signal: AbortSignal): Promise<void> {
  for (const manifest of team) {
    if (signal.aborted) return;
    await troupe.deploy(manifest).catch((error: unknown) => {
      if (!signal.aborted) say(`could not deploy ${manifest.id}: ${messageOf(error)}`);
    });
  }
}

function oneOfEach(definitions: readonly { readonly kind: string }[]): readonly ManifestInput[] {
  return [...new Set(definitions.map(({ kind }) => kind))].map((kind) => ({ id: `${kind}-1`, kind }));
}

function describe(event: SupervisorEvent): string {
  switch (event.kind) {
    case 'ended':
      return `${event.name} ended (${event.how}); starting it again in ${Math.round(event.restartInMs)} ms`;
    case 'back':
      return `${event.name} is back at ${event.line.grpc}`;
    case 'failed':
      return `${event.name} did not come back: ${event.reason}`;
  }
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
