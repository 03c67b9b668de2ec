import { connect, type TroupeClient } from '../../client/client.js';
import type { TaskResult } from '../../client/result.js';
import type { RunOptions } from '../../client/run-options.js';
import { isTroupeError, TroupeError } from '../../core/errors.js';
import { LocalCluster } from '../dev/cluster.js';
import { gatewayInStep, pollUntil } from '../dev/in-step.js';
import { formatMs, type Step, Story, type StoryOutput } from './story.js';
import { PACKAGE_ROOT, TEAM, TEAM_MODULE } from './team.js';
import { inParallel, Spread } from './workload.js';

export interface DemoOptions {
  readonly output: StoryOutput;
  /** Stops the demonstration, and the cluster with it. */
  readonly signal: AbortSignal;
}

const NODES = 3;
const LEASE_TTL_SECONDS = 3;
const SALES = { path: 'examples/data/sales.csv', group_by: 'region', measure: 'revenue' };
const DATA_TASKS = 10;
const TASKS_DURING_CRASH = 60;
const AT_ONCE = 6;
/** When the node is killed: so many tasks are done, the others run or wait. */
const KILL_AFTER = 15;
const STEP_MS = 20_000;

/** The whole story against real processes: nine steps, each of which must hold. @throws what the first step that fails throws. */
export async function runDemo({ output, signal }: DemoOptions): Promise<void> {
  const story = new Story(output);
  const logs: string[] = [];
  const cluster = new LocalCluster({
    host: '127.0.0.1',
    registryPort: 0,
    nodePort: 0,
    gatewayPort: 0,
    nodes: NODES,
    agents: [TEAM_MODULE],
    strategy: 'least_connections',
    leaseTtlSeconds: LEASE_TTL_SECONDS,
    logLevel: 'warn',
    cwd: PACKAGE_ROOT,
    restart: false,
    onLog: (name, line) => logs.push(`${name}: ${line}`),
  });
  const abort = () => void cluster.stop();
  signal.addEventListener('abort', abort, { once: true });
  try {
    await tell(story, cluster);
  } catch (error) {
    if (signal.aborted) throw new TroupeError('CANCELLED', 'CANCELLED', 'interrupted; the cluster is stopped');
    for (const line of logs.slice(-10)) story.write(line);
    throw error;
  } finally {
    signal.removeEventListener('abort', abort);
    await cluster.stop();
  }
}

async function tell(story: Story, cluster: LocalCluster): Promise<void> {
  const registry = await story.step('Start the registry', async ({ say }) => {
    const line = await cluster.startRegistry();
    say(`registry at ${line.grpc}, process ${line.pid}, store in memory`);
    return line.grpc;
  });
  const troupe = await story.step('Start the gateway: the balancer, least connections', async ({ say }) => {
    const line = await cluster.startGateway(registry);
    say(`gateway at ${line.grpc}, process ${line.pid}`);
    return connect(line.grpc);
  });
  try {
    await story.step(`Start ${NODES} nodes`, async ({ say }) => {
      for (const { id, grpc, pid } of await cluster.startNodes(registry)) say(`${id} at ${grpc}, process ${pid}`);
      await gatewayInStep(troupe, STEP_MS);
    });
    await story.step(`Deploy ${TEAM.length} agents to the least loaded nodes`, (step) => deployTeam(troupe, step));
    await story.step('Look at the cluster', (step) => showState(troupe, step));
    await story.step('Run tasks by capability', (step) => runByCapability(troupe, step));
    await story.step(`Run ${DATA_TASKS} data tasks and see how they spread`, (step) => runDataTasks(troupe, step));
    const facts = await story.step('Kill a node (kill -9) while tasks run, and bring it back', (step) =>
      crash(troupe, cluster, step),
    );
    await story.step('Clean up', async ({ say }) => {
      const pids = cluster.pids;
      troupe.close();
      await cluster.stop();
      const left = cluster.running.map(({ name }) => name);
      if (left.length > 0) throw new TroupeError('INTERNAL', 'LEFT_BEHIND', `still running: ${left.join(', ')}`);
      say(`${pids.length} processes ended, nothing left behind`);
    });
    story.end(facts);
  } finally {
    troupe.close();
  }
}

async function deployTeam(troupe: TroupeClient, { say, progress }: Step): Promise<void> {
  for (const manifest of TEAM) {
    progress(manifest.id);
    const { nodeId } = await troupe.deploy(manifest);
    say(`${manifest.id.padEnd(7)} → ${nodeId}   ${manifest.capabilities?.join(', ')}`);
  }
}

async function showState(troupe: TroupeClient, { say }: Step): Promise<void> {
  const [instances, stats] = await Promise.all([troupe.instances(), troupe.stats()]);
  for (const node of instances.filter(({ service }) => service === 'node')) {
    const agents = instances.filter(({ nodeId }) => nodeId === node.id).map(({ id }) => id);
    say(`${node.id} at ${node.endpoint?.host}:${node.endpoint?.port}: ${agents.join(', ') || 'no agents'}`);
  }
  say(`${stats.instances} instances, ${stats.capabilities.length} capabilities, ${stats.keepAlives} leases kept alive`);
  const agents = instances.filter(({ service }) => service === 'agent').length;
  if (agents !== TEAM.length)
    throw new TroupeError('INTERNAL', 'AGENTS_MISSING', `${TEAM.length} agents were deployed, the registry knows ${agents}`);
}

async function runByCapability(troupe: TroupeClient, { say, progress }: Step): Promise<void> {
  const run = async (capability: string, input: object, describe: (result: TaskResult) => string) => {
    progress(capability);
    const result = await troupe.run(capability, input);
    say(`${capability.padEnd(15)} ${where(result)}: ${describe(result)}`);
  };
  await run('data_processing', SALES, (result) => {
    const { rows, columns, groups } = result.json<{ rows: number; columns: unknown[]; groups: Record<string, unknown>[] }>();
    return `${rows} rows, ${columns.length} columns, ${groups.length} regions`;
  });
  await run('code_generation', { path: 'examples/data/order.schema.json' }, (result) => {
    const { exports, code } = result.json<{ exports: string[]; code: string }>();
    return `${code.split('\n').length} lines of TypeScript: ${exports.join(', ')}`;
  });
  await run('testing', { path: 'examples/data/stack.test.mjs' }, (result) => {
    const { passed, failed } = result.json<{ passed: number; failed: number }>();
    return `${passed} tests passed, ${failed} failed`;
  });
  await run(
    'inference',
    { text: 'I was charged twice for my subscription' },
    (result) => `a ticket for "${result.json<{ label: string }>().label}"`,
  );
}

async function runDataTasks(troupe: TroupeClient, { say, progress }: Step): Promise<void> {
  const spread = new Spread();
  await inParallel(
    DATA_TASKS,
    2,
    () => troupe.run('data_processing', SALES),
    (result) => {
      spread.add(result);
      progress(`${spread.total}/${DATA_TASKS}  ${spread.short()}`);
    },
  );
  for (const line of spread.lines()) say(line);
  if (spread.places < 2) throw new TroupeError('INTERNAL', 'NOT_SPREAD', 'all tasks went to one agent');
}

async function crash(troupe: TroupeClient, cluster: LocalCluster, step: Step): Promise<string[]> {
  const { say, progress } = step;
  const agents = await troupe.instances({ service: 'agent' });
  const victim = agents.find(({ id }) => id === 'data-1')?.nodeId ?? '';
  const lost = agents.filter(({ nodeId }) => nodeId === victim).map(({ id }) => id);
  const spread = new Spread();
  let repeated = 0;
  let slowestMs = 0;
  let killed: Promise<void> | undefined;
  await inParallel(
    TASKS_DURING_CRASH,
    AT_ONCE,
    async () => {
      const startedAt = performance.now();
      // Statistics of a file: doing them twice does no harm, so a task that the node took with it is done elsewhere.
      const result = await troupe.run('data_processing', SALES, { idempotent: true });
      slowestMs = Math.max(slowestMs, performance.now() - startedAt);
      return result;
    },
    (result) => {
      spread.add(result);
      if (result.attempt > 1) repeated += 1;
      progress(`${spread.total}/${TASKS_DURING_CRASH}  ${spread.short()}`);
      if (spread.total >= KILL_AFTER) killed ??= cluster.process(victim).crash();
    },
  );
  await killed;
  say(
    `killed ${victim} (with ${lost.join(', ')}) after ${KILL_AFTER} of ${TASKS_DURING_CRASH} tasks: all ${spread.total} completed`,
  );
  say(`${repeated} were rerouted to another node; the slowest task took ${formatMs(slowestMs)}`);
  say(`a task for data-1 itself now: ${await refusal(troupe, { agentId: 'data-1', timeoutMs: 2_000 })}`);

  progress(`${victim} comes back`);
  const startedAt = performance.now();
  const line = await cluster.process(victim).startAgain();
  const backIds = async () =>
    (await troupe.instances({ service: 'agent' })).filter(({ nodeId }) => nodeId === victim).map(({ id }) => id);
  await pollUntil(async () => (await backIds()).length === lost.length, STEP_MS, `the agents of ${victim} did not come back`);
  await gatewayInStep(troupe, STEP_MS);
  say(
    `${victim} came back as process ${line.pid} with ${(await backIds()).join(', ')} in ${formatMs(performance.now() - startedAt)}`,
  );
  const again = await troupe.run('data_processing', SALES, { agentId: 'data-1' });
  say(`data-1 works again: ${where(again)}`);
  return [`${TASKS_DURING_CRASH} tasks ran through a kill -9: 0 lost, ${repeated} rerouted, slowest ${formatMs(slowestMs)}`];
}

/** What a task ends with that cannot be done now. */
async function refusal(troupe: TroupeClient, options: RunOptions): Promise<string> {
  try {
    const result = await troupe.run('data_processing', SALES, options);
    throw new TroupeError('INTERNAL', 'NOT_REFUSED', `it was done ${where(result)}, though its node is dead`);
  } catch (error) {
    if (!isTroupeError(error) || error.reason === 'NOT_REFUSED') throw error;
    return `${error.code}: ${error.message}`;
  }
}

function where({ agentId, nodeId, durationMs }: TaskResult): string {
  return `${agentId} on ${nodeId}, ${formatMs(durationMs)}`;
}
