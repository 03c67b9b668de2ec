import type { Command } from 'commander';
import type { ManifestInput } from '../../agent/manifest.js';
import { examples } from '../../cli/cluster.js';
import type { CliIo } from '../../cli/io.js';
import { connect, type TroupeClient } from '../../client/client.js';
import { messageOf } from '../../core/errors.js';
import { loadAllAgents } from '../../node/load-agents.js';
import { TEAM, TEAM_MODULE } from '../demo/team.js';
import { LocalCluster } from '../dev/cluster.js';
import { gatewayInStep } from '../dev/in-step.js';
import type { SupervisorEvent } from '../dev/supervisor.js';
import { stopAsked } from '../interruption.js';
import type { Values } from '../settings/catalogue.js';
import { addSettings } from '../settings/options.js';
import { passedOn } from '../settings/pass-on.js';
import { readSettings, type Settings } from '../settings/read-settings.js';

const CATCH_UP_MS = 5_000;

export function devCommand(program: Command, io: CliIo): void {
  addSettings(
    program
      .command('dev')
      .description('runs a whole cluster on this machine: registry, nodes and a gateway, each its own process'),
    'dev',
  )
    .addHelpText(
      'after',
      examples('troupe dev', 'troupe dev --agents ./hello.mjs --nodes 2', 'troupe dev --port 0 --node-port 0 --registry-port 0'),
    )
    .action(async (_flags: unknown, command: Command) => runDev(await readSettings('dev', command, io), io.interrupted));
}

async function runDev(settings: Settings<'dev'>, interrupted: AbortSignal): Promise<void> {
  const asked = stopAsked(interrupted);
  const { values } = settings;
  const modules = values.agents ?? [TEAM_MODULE];
  // A module that does not load is told here, once, and not by every node.
  const team = values.agents === undefined ? TEAM : oneOfEach(await loadAllAgents(modules, process.cwd()));
  const cluster = new LocalCluster({
    ...values,
    gatewayPort: values.port,
    leaseTtlSeconds: values.leaseTtl,
    agents: modules,
    flags: passedOn(settings.resolution, ['config', 'metrics', 'otlpEndpoint', 'traceRatio']),
    cwd: process.cwd(),
    restart: true,
    onLog: (name, line) => say(`${name}: ${line}`),
    onEvent: (event) => say(describe(event)),
  });
  try {
    const stopping = new AbortController();
    const stop = asked.then(() => stopping.abort());
    const up = start(cluster, values, values.deploy ? team : [], stopping.signal);
    up.catch(() => undefined);
    await Promise.race([up.then(() => stop), stop]);
  } finally {
    await cluster.stop();
  }
}

async function start(
  cluster: LocalCluster,
  { host, registryPort }: Values<'dev'>,
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
