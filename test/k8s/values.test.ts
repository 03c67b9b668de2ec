import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { ROOT } from '../support/processes.js';
import { runCommand } from '../support/run-command.js';
import { CHART, chart, chartText, find, K8S, kustomization, parseManifests, podsOf, runHelm, tools } from './manifests.js';

describe('a value that cannot be is refused, by its name and with what is allowed', () => {
  test.each([
    ['registry.replicas=two', "'/registry/replicas': got string, want integer"],
    ['registry.replicas=0', "'/registry/replicas': minimum: got 0, want 1"],
    ['image.tag=7', "'/image/tag': got number, want string"],
    ['image.digest=latest', "'/image/digest': 'latest' does not match pattern"],
    ['logLevel=loud', "'/logLevel': value must be one of 'debug', 'info', 'warn', 'error', 'silent'"],
    ['leaseTtlSeconds=1', "'/leaseTtlSeconds': minimum: got 1, want 2"],
    ['nodes.drainGraceSeconds=1.5', "'/nodes/drainGraceSeconds': got string, want integer"],
    ['nodes.autoscaling.enabled=yes-please', "'/nodes/autoscaling/enabled': got string, want boolean"],
    ['nodes.agents=hello.mjs', "'/nodes/agents': got string, want array"],
    ['nodes.resources.limits.memory=lots', "'/nodes/resources/limits/memory': 'lots' does not match pattern"],
    ['telemetry.otlp.endpoint=collector', "'/telemetry/otlp/endpoint': 'collector' does not match pattern"],
    [
      'telemetry.otlp.endpoint=http://collector:4317/v1/traces',
      "'/telemetry/otlp/endpoint': 'http://collector:4317/v1/traces' does not",
    ],
    ['zone.name=EU-1', "'/zone/name': 'EU-1' does not match pattern"],
    ['storePrefix=/a//b', "'/storePrefix': '/a//b' does not match pattern"],
    ['telemetry.otlp.endpoint=http://collector', "'/telemetry/otlp/endpoint': 'http://collector' does not match pattern"],
    ['telemetry.otlp.traceRatio=2', "'/telemetry/otlp/traceRatio': maximum: got 2, want 1"],
    ['zone.name=EU', "'/zone/name': 'EU' does not match pattern"],
    ['cluster=blue/green', "'/cluster': 'blue/green' does not match pattern"],
    ['nodes.deploy={Greeter}', "'/nodes/deploy/0': 'Greeter' does not match pattern"],
    [
      'gateway.service.loadBalancerSourceRanges={everybody}',
      "'/gateway/service/loadBalancerSourceRanges/0': 'everybody' does not match pattern",
    ],
    ['etcd.replicas=2', "'/etcd/replicas': value must be one of 1, 3, 5"],
    ['gateway.service.port=70000', "'/gateway/service/port': maximum: got 70,000, want 65,535"],
    ['externalEtcd.endpoints={etcd}', "'/externalEtcd/endpoints/0': 'etcd' does not match pattern"],
    ['externalEtcd.endpoints={http://etcd:99999}', "'/externalEtcd/endpoints/0': 'http://etcd:99999' does not match pattern"],
    ['externalEtcd.endpoints={etcd:0}', "'/externalEtcd/endpoints/0': 'etcd:0' does not match pattern"],
    ['externalEtcd.port=70000', "'/externalEtcd/port'"],
    ['telemetry.otlp.endpoint=http://collector:65536', "'/telemetry/otlp/endpoint': 'http://collector:65536' does not match"],
    ['fullnameOverride=1abc', "'/fullnameOverride': '1abc' does not match pattern"],
    ['nodes.replica=3', "'/nodes': additional properties 'replica' not allowed"],
    ['node.replicas=3', "additional properties 'node' not allowed"],
  ])('%s', async (value, message) => {
    const { code, stdout, stderr } = await runHelm('template', { set: [value] });
    expect(stderr).toContain(message);
    expect(code).toBe(1);
    expect(stdout).toBe('');
  });

  test.each([
    ['etcd.enabled=false', 'externalEtcd.endpoints: is empty, and etcd.enabled is false'],
    [
      'etcd.enabled=false,externalEtcd.endpoints={https://a:2379,http://b:2379}',
      'externalEtcd.endpoints: are https://a:2379, http://b:2379; they must all be https or all http',
    ],
    [
      'etcd.enabled=false,externalEtcd.endpoints={http://a:2379},externalEtcd.tls.existingSecret=tls',
      'externalEtcd.endpoints: are http, and externalEtcd.tls.existingSecret names a certificate authority',
    ],
    ['nodes.autoscaling.minReplicas=11', 'nodes.autoscaling.minReplicas: is 11, and nodes.autoscaling.maxReplicas 10'],
    [
      'telemetry.metrics=false,monitoring.serviceMonitor=true',
      'telemetry.metrics: is false, and monitoring.serviceMonitor is true',
    ],
    ['gateway.ingress.enabled=true', 'gateway.ingress.host: is empty, and gateway.ingress.enabled is true'],
    ['gateway.grpcRoute.enabled=true', 'gateway.grpcRoute.parentRefs: is empty, and gateway.grpcRoute.enabled is true'],
  ])('%s, which does not fit to others', async (value, message) => {
    const { code, stderr } = await runHelm('template', { set: [value] });
    expect(stderr).toContain(message);
    expect(code).toBe(1);
  });
});

test('the name of a release that begins with a digit is refused, unless another name is given', async () => {
  const { code, stderr } = await runHelm('template', { name: '1abc' });
  expect({ code, stderr }).toMatchObject({
    code: 1,
    stderr: expect.stringContaining(
      "fullnameOverride: is empty, and names would begin with a digit, as the release's does (1abc)",
    ),
  });
  expect(await chartText({ name: '1abc', set: ['fullnameOverride=abc'] })).toContain('name: abc-registry');
});

test('text stays text, whatever YAML would take it for', async () => {
  const objects = await chart({ values: ['../../test/k8s/values/odd-text.yaml'] });
  const node = find(objects, 'StatefulSet', 'troupe-node').spec;
  expect(node.template.spec.containers[0].env).toEqual(
    expect.arrayContaining([
      { name: 'TROUPE_ZONE', value: '1' },
      { name: 'TROUPE_AGENTS', value: '@acme/agents' },
    ]),
  );
  expect(node.volumeClaimTemplates[0].spec.storageClassName).toBe('2');
  expect(find(objects, 'Ingress', 'troupe-gateway').spec).toMatchObject({
    tls: [{ hosts: ['*.example.com'], secretName: '3' }],
    rules: [{ host: '*.example.com' }],
  });
});

test('the schema knows each value that there is, and no other', async () => {
  const values: unknown = parse(await readFile(join(CHART, 'values.yaml'), 'utf8'));
  const schema = JSON.parse(await readFile(join(CHART, 'values.schema.json'), 'utf8'));
  // Helm puts it there.
  delete schema.properties.global;
  expect(pathsOfSchema(schema, schema)).toEqual(pathsOfValues(values));
});

test('README.md of the chart has each value', async () => {
  const readme = await readFile(join(CHART, 'README.md'), 'utf8');
  const values = pathsOfValues(parse(await readFile(join(CHART, 'values.yaml'), 'utf8')));
  expect(values.filter((path) => !readme.includes(`\`${path}\``))).toEqual([]);
});

test('the version is that of the package, in the chart and in the kustomization', async () => {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8'));
  expect(parse(await readFile(join(CHART, 'Chart.yaml'), 'utf8'))).toMatchObject({ appVersion: version, version });
  for (const { kind, metadata } of await kustomization('overlays/prod')) {
    if (kind !== 'Namespace') expect(metadata.labels?.['app.kubernetes.io/version']).toBe(version);
  }
  const images = podsOf(await kustomization('base')).flatMap(({ spec }) =>
    spec.containers.map(({ image }: { image: string }) => image),
  );
  expect(new Set(images)).toEqual(new Set([`troupe/troupe:${version}`, expect.stringContaining('/etcd:')]));
});

test('the version of etcd is one that keeps its leases', async () => {
  for (const { name, spec } of podsOf(await kustomization('base'))) {
    if (name !== 'StatefulSet/troupe-etcd') continue;
    const [, minor, patch] = /:v3\.(\d+)\.(\d+)$/.exec(spec.containers[0].image) ?? [];
    expect(Number(patch)).toBeGreaterThanOrEqual({ '5': 30, '6': 11 }[String(minor)] ?? Number.POSITIVE_INFINITY);
  }
});

test('the name of a release is part of every name', async () => {
  const text = await chartText({ name: 'blue' });
  expect(text).toContain('http://blue-troupe-etcd-0.blue-troupe-etcd:2379');
  expect(text).toContain('value: blue-troupe-registry:8000');
  for (const { metadata } of parseManifests(text)) expect(metadata.name).toMatch(/^blue-troupe(-|$)/);
});

test('the kustomizations are those that the docs name', async () => {
  const docs = await readFile(join(ROOT, 'docs', 'deploy-kubernetes.md'), 'utf8');
  for (const folder of [
    'overlays/dev',
    'overlays/prod',
    'overlays/external-etcd',
    'components/tasks-in-flight',
    'components/monitoring',
    'components/otlp',
  ]) {
    expect(docs).toContain(`k8s/${folder}`);
    await readFile(join(K8S, folder, 'kustomization.yaml'), 'utf8');
  }
});

test('each command of helm that the docs have renders', async () => {
  const docs = await readFile(join(ROOT, 'docs', 'deploy-kubernetes.md'), 'utf8');
  const commands = [...docs.matchAll(/^helm (?:install|upgrade) (.*)$/gm)].map(([, args = '']) => args.split(' '));
  expect(commands.length).toBeGreaterThan(4);
  for (const given of commands) {
    // What is for a cluster alone, and a file that is the reader's own.
    const args = given
      .filter((arg) => arg !== '--create-namespace' && arg !== '--reuse-values')
      .map((arg) => (arg === 'etcd.yaml' ? join(CHART, 'values-external-etcd.yaml') : arg));
    const { code, stderr } = await runCommand(tools.helm, ['template', ...args, '--kube-version', '1.34.0']);
    expect({ args, code, stderr }).toMatchObject({ code: 0 });
  }
});

test('each block of values that the docs have renders', async () => {
  const docs = await readFile(join(ROOT, 'docs', 'deploy-kubernetes.md'), 'utf8');
  const blocks = [...docs.matchAll(/^```yaml\n(gateway:\n[\s\S]*?)^```$/gm)].map(([, values = '']) => values);
  const folder = await mkdtemp(join(tmpdir(), 'troupe-values-'));
  try {
    const made: (readonly string[])[] = [];
    for (const values of blocks) {
      await writeFile(join(folder, 'values.yaml'), values);
      const manifests = await chart({ values: [relative(CHART, join(folder, 'values.yaml'))] });
      made.push(manifests.map(({ kind }) => kind).filter((kind) => kind === 'Ingress' || kind === 'GRPCRoute'));
    }
    expect(made).toEqual([['Ingress'], ['GRPCRoute']]);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('the chart as a package has its rules and dashboards in it', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-chart-'));
  try {
    expect(await runCommand(tools.helm, ['package', CHART, '--destination', folder])).toMatchObject({ code: 0 });
    const [archive = ''] = await readdir(folder);
    const { stdout } = await runCommand(tools.helm, [
      'template',
      'troupe',
      join(folder, archive),
      '-n',
      'troupe',
      '--kube-version',
      '1.34.0',
      '--set',
      MONITORED,
    ]);
    const packed = parseManifests(stdout);
    const unpacked = await chart({ set: [MONITORED] });
    for (const [kind, name] of [
      ['PrometheusRule', 'troupe'],
      ['ConfigMap', 'troupe-dashboards'],
    ] as const) {
      expect(find(packed, kind, name)).toEqual(find(unpacked, kind, name));
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('the overlay that the docs show can be built', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-overlay-'));
  try {
    const docs = await readFile(join(ROOT, 'docs', 'deploy-kubernetes.md'), 'utf8');
    const [, overlay = ''] = /```yaml\n(apiVersion: kustomize[\s\S]*?)```/.exec(docs) ?? [];
    await cp(K8S, folder, { recursive: true });
    await mkdir(join(folder, 'overlays', 'own'));
    await writeFile(join(folder, 'overlays', 'own', 'kustomization.yaml'), overlay);
    const [command = '', ...args] = tools.kustomize;
    const { stdout, stderr } = await runCommand(command, [...args, join(folder, 'overlays', 'own')]);
    expect(stderr).toBe('');
    const images = podsOf(parseManifests(stdout)).flatMap(({ spec }) =>
      spec.containers.map(({ image }: { image: string }) => image),
    );
    expect(images.filter((image) => image === 'REPOSITORY/troupe:0.1.0')).toHaveLength(3);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('the notes say how to see whether it works, and what is missing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-notes-'));
  try {
    // Helm shows notes only where there is a cluster: here they are the value of a field.
    await cp(CHART, folder, { recursive: true, dereference: true });
    await cp(join(folder, 'templates', 'NOTES.txt'), join(folder, 'files', 'notes'));
    await writeFile(join(folder, 'templates', 'notes.yaml'), 'notes: {{ tpl (.Files.Get "files/notes") . | quote }}\n');
    const notes = async (...args: string[]) => {
      const all = ['template', 'troupe', folder, '-n', 'ns', '--kube-version', '1.34.0', '-s', 'templates/notes.yaml', ...args];
      const { stdout, stderr } = await runCommand(tools.helm, all);
      return (parseManifests(stdout)[0]?.notes as string | undefined) ?? stderr;
    };
    const plain = await notes();
    expect(plain).toContain('2 registries, 2 to 10 nodes, 2 gateways, etcd with 3 members.');
    expect(plain).toContain('helm -n ns test troupe --logs');
    expect(plain).toContain('The nodes offer no agents yet');
    const filled = await notes(
      '-f',
      join(folder, 'values-external-etcd.yaml'),
      '--set',
      'nodes.agents={/a.mjs},nodes.autoscaling.enabled=false',
    );
    expect(filled).toContain('3 nodes, 2 gateways, etcd at https://etcd-0.example.com:2379, https://etcd-1');
    expect(filled).not.toContain('no agents yet');
  } finally {
    await rm(folder, { recursive: true });
  }
});

const MONITORED = 'monitoring.prometheusRule=true,monitoring.dashboards=true';

/** Maps that hold whatever their user puts there are values themselves. */
function pathsOfValues(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || isOpen(path)) return [path];
  return Object.entries(value)
    .flatMap(([key, inner]) => pathsOfValues(inner, path === '' ? key : `${path}.${key}`))
    .sort();
}

interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly $ref?: string;
}

function pathsOfSchema(schema: Schema, root: { readonly $defs: Record<string, Schema> }, path = ''): string[] {
  const { properties } = schema.$ref === undefined ? schema : (root.$defs[schema.$ref.slice('#/$defs/'.length)] ?? {});
  if (properties === undefined || isOpen(path)) return [path];
  return Object.entries(properties)
    .flatMap(([key, inner]) => pathsOfSchema(inner, root, path === '' ? key : `${path}.${key}`))
    .sort();
}

function isOpen(path: string): boolean {
  return /\.(resources|nodeSelector|labels|\w*annotations)$/i.test(path);
}
