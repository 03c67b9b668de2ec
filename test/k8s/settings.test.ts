import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { cleanUp } from '../support/clean-up.js';
import { etcdBinary, freePorts } from '../support/etcd.js';
import { eventually } from '../support/eventually.js';
import { startProcess, startTroupe, type TestProcess } from '../support/processes.js';
import { unknownSettings } from '../support/program-flags.js';
import { runCommand, runTroupe } from '../support/run-command.js';
import { chart, find, type Manifest, parseManifests, podsOf, RENDERINGS } from './manifests.js';

interface Container {
  readonly name: string;
  readonly image: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
  readonly env?: readonly Variable[];
}

interface Variable {
  readonly name: string;
  readonly value?: string;
  readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string } };
}

/** Containers that run the image's own command. */
const troupeContainers = (manifests: readonly Manifest[]): Container[] =>
  podsOf(manifests)
    .flatMap(({ spec }): Container[] => spec.containers)
    .filter(({ command }) => command === undefined);

describe('what the manifests tell the program exists in it', () => {
  test.each(Object.entries(RENDERINGS))('%s', async (_, render) => {
    const containers = troupeContainers(parseManifests(await render()));
    expect(containers.map(({ name }) => name)).toEqual(expect.arrayContaining(['registry', 'node', 'gateway']));
    for (const { args = [], env = [] } of containers) {
      // What is for agents is not for the program.
      const names = env.map(({ name }) => name).filter((name) => name !== 'MODEL_KEY');
      expect(await unknownSettings({ args, env: names })).toEqual([]);
    }
  });

  test('and what does not exist is found', async () => {
    expect(
      await unknownSettings({
        args: ['registry', '--port', '1', '--prot=2', '-x'],
        env: ['TROUPE_PORT', 'TROUPE_DATA_DIR', 'HOME'],
      }),
    ).toEqual([
      'troupe registry has no flag --prot',
      'troupe registry has no flag -x',
      'troupe registry does not read TROUPE_DATA_DIR',
      'troupe registry does not read HOME',
    ]);
    await expect(unknownSettings({ args: ['regstry'], env: [] })).rejects.toThrow('there is no command "troupe regstry"');
  });

  test('and the program takes each value, as that of the variable', async () => {
    const cases = new Set<string>();
    for (const render of Object.values(RENDERINGS)) {
      for (const { name, env = [] } of troupeContainers(parseManifests(await render()))) {
        const settings = env.filter((variable) => variable.name.startsWith('TROUPE_'));
        if (settings.length > 0)
          cases.add(JSON.stringify([name, settings.map((each) => [each.name, each.value ?? valueFrom(each)])]));
      }
    }
    // Each role at least as in the base, dev, prod and with an etcd elsewhere.
    expect(cases.size).toBeGreaterThan(8);
    for (const each of cases) {
      const [role, settings] = JSON.parse(each) as [string, [string, string][]];
      const { code, stdout, stderr } = await runTroupe(['config', 'explain', role, '--no-files'], {
        env: Object.fromEntries(settings),
      });
      expect({ each, code, stderr }).toEqual({ each, code: 0, stderr: '' });
      for (const [name] of settings) expect(stdout).toMatch(new RegExp(`env ${name}\\b`));
    }
  }, 120_000);

  test('no variable is set twice', async () => {
    for (const render of Object.values(RENDERINGS)) {
      for (const { env = [] } of troupeContainers(parseManifests(await render()))) {
        const names = env.map(({ name }) => name);
        expect(names).toEqual([...new Set(names)]);
      }
    }
  });

  test('the flags of etcd exist in etcd', async () => {
    const { stdout } = await runCommand(etcdBinary(), ['--help']);
    const args: string[] = find(await chart(), 'StatefulSet', 'troupe-etcd').spec.template.spec.containers[0].args;
    expect(args.map((arg) => arg.split('=')[0] as string).filter((flag) => !stdout.includes(`${flag} `))).toEqual([]);
  });
});

describe('how long a pod may take to end', () => {
  test.each([
    ['registry', 25],
    ['gateway', 25],
    ['node', 25],
  ])('is more than what the %s and its preStop take', async (role, drainSeconds) => {
    const [pod] = podsOf(await chart()).filter(({ labels }) => labels['app.kubernetes.io/component'] === role);
    const preStop = pod?.spec.containers[0].lifecycle?.preStop.sleep.seconds ?? 0;
    expect(pod?.spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(preStop + drainSeconds + 5);
  });

  test('grows with the drain of a node', async () => {
    const node = find(await chart({ set: ['nodes.drainGraceSeconds=300'] }), 'StatefulSet', 'troupe-node').spec.template.spec;
    expect(node.terminationGracePeriodSeconds).toBe(310);
    expect(node.containers[0].env).toContainEqual({ name: 'TROUPE_DRAIN_GRACE', value: '300' });
  });
});

/** One member of each, with addresses of this machine in the place of the cluster's. */
describe('the processes of the chart, as their manifests tell them to run', () => {
  test('make a cluster whose probes answer, and the chart test passes', async () => {
    const manifests = await chart({
      values: ['values-dev.yaml'],
      set: ['nodes.deploy={greeter}', 'nodes.agents={./examples/agents/hello.mjs}'],
    });
    const folder = await mkdtemp(join(tmpdir(), 'troupe-k8s-'));
    cleanUp(() => rm(folder, { recursive: true, force: true }));
    const ports = await freePorts(9);
    const [client, peer, etcdMetrics, registry, registryOps, node, nodeOps, gateway, gatewayOps] = ports.map(String);
    const here = (text: string) =>
      text
        .replaceAll('$(POD_NAME)', 'troupe-etcd-0')
        .replaceAll(/troupe-etcd-0\.troupe-etcd:2379|0\.0\.0\.0:2379/g, `127.0.0.1:${client}`)
        .replaceAll(/troupe-etcd-0\.troupe-etcd:2380|0\.0\.0\.0:2380/g, `127.0.0.1:${peer}`)
        .replaceAll('0.0.0.0:2381', `127.0.0.1:${etcdMetrics}`)
        .replaceAll('troupe-registry:8000', `127.0.0.1:${registry}`)
        .replaceAll('troupe-gateway:8080', `127.0.0.1:${gateway}`)
        .replaceAll(/^\/data$|\/var\/lib\/etcd/g, folder)
        .replaceAll('0.0.0.0', '127.0.0.1');
    const environment = (container: Container, pod: string) =>
      Object.fromEntries(
        (container.env ?? []).map(({ name, value, valueFrom }) => [
          name,
          here(value ?? { 'metadata.name': pod, 'status.podIP': '127.0.0.1' }[valueFrom?.fieldRef?.fieldPath ?? ''] ?? ''),
        ]),
      );
    const specOf = (kind: string, name: string) => find(manifests, kind, name).spec.template.spec;

    const [etcdContainer] = specOf('StatefulSet', 'troupe-etcd').containers;
    const etcdProcess = startProcess(etcdBinary(), etcdContainer.args.map(here));

    const { containers } = specOf('StatefulSet', 'troupe-node');

    const start = (
      container: Container,
      pod: string,
      [port, ops]: readonly [string | undefined, string | undefined],
    ): TestProcess =>
      startTroupe(container.args ?? [], { env: { ...environment(container, pod), TROUPE_PORT: port, TROUPE_OPS_PORT: ops } });
    const get = async (ops: string | undefined, path: string) => {
      const response = await fetch(`http://127.0.0.1:${ops}${path}`, { headers: { connection: 'close' } });
      // Read, or the socket stays.
      return { status: response.status, text: await response.text() };
    };
    const probe = async (ops: string | undefined, path: string) => (await get(ops, path)).status;

    const health = async (port: string | undefined) =>
      (await runTroupe(['call', 'grpc.health.v1.Health/Check', '--address', `127.0.0.1:${port}`])).stdout;

    const nodeProcess = start(containers[0], 'troupe-node-0', [node, nodeOps]);
    // Alive, so that it is not restarted, and not ready, since there is no registry yet.
    await eventually(async () => expect(await probe(nodeOps, containers[0].livenessProbe.httpGet.path)).toBe(200));
    expect(await probe(nodeOps, '/ready')).toBe(503);
    expect(await health(node)).toContain('NOT_SERVING');
    const gatewayProcess = start(specOf('Deployment', 'troupe-gateway').containers[0], 'troupe-gateway-1', [gateway, gatewayOps]);
    await eventually(async () => expect(await probe(etcdMetrics, '/health')).toBe(200), { timeoutMs: 20_000 }).catch(
      (error: unknown) => {
        throw new Error(`etcd did not start: ${etcdProcess.stderr}`, { cause: error });
      },
    );
    const registryProcess = start(specOf('Deployment', 'troupe-registry').containers[0], 'troupe-registry-1', [
      registry,
      registryOps,
    ]);
    await Promise.all([registryProcess, nodeProcess, gatewayProcess].map((each) => each.ready()));
    for (const port of [registry, node, gateway]) expect(await health(port)).toMatch(/"SERVING"/);
    for (const ops of [registryOps, nodeOps, gatewayOps]) {
      expect(await probe(ops, '/ready')).toBe(200);
      expect(await probe(ops, '/metrics')).toBe(200);
    }

    // What the autoscaler and the alerts go by is there before anything has happened.
    for (const [ops, metrics] of [
      [
        nodeOps,
        ['troupe_node_tasks_in_flight', 'troupe_node_tasks_queued', 'troupe_mailbox_messages', 'troupe_lease_age_seconds'],
      ],
      [
        gatewayOps,
        ['troupe_lease_ttl_seconds', 'troupe_view_age_seconds', 'troupe_link_queued_bytes', 'troupe_event_loop_delay_seconds'],
      ],
      [registryOps, ['troupe_registry_leading', 'troupe_registry_mirror_age_seconds', 'process_start_time_seconds']],
    ] as const) {
      const { text } = await get(ops, '/metrics');
      for (const metric of metrics) expect(text).toMatch(new RegExp(`^${metric}(\\{.*\\})? \\S+`, 'm'));
    }

    const chartTest = find(manifests, 'Pod', 'troupe-test').spec.containers[0];
    expect(await runTroupe(chartTest.args.map(here))).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('troupe-node-0'),
    });
    // The agent that the node has of its own.
    const run = await runTroupe(['run', 'greeting', '--text', 'Ada', '--address', `127.0.0.1:${gateway}`]);
    expect(run).toMatchObject({ code: 0, stdout: expect.stringContaining('"from":"greeter-troupe-node-0"') });

    const stoppedAt = performance.now();
    expect(await nodeProcess.kill('SIGTERM')).toEqual({ code: 0, signal: null });
    expect(performance.now() - stoppedAt).toBeLessThan(
      specOf('StatefulSet', 'troupe-node').terminationGracePeriodSeconds * 1_000,
    );
  }, 60_000);
});

/** What stands for what only a cluster knows. */
function valueFrom({ name, valueFrom }: Variable): string {
  const path = valueFrom?.fieldRef?.fieldPath;
  if (path === undefined) return name.toLowerCase();
  const value = {
    'metadata.name': 'troupe-0',
    'status.podIP': '10.0.0.1',
    "metadata.labels['topology.kubernetes.io/zone']": 'eu-1a',
  }[path];
  if (value === undefined) throw new Error(`no value for ${path}`);
  return value;
}
