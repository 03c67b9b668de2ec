import { describe, expect, test } from '@jest/globals';
import { chart, find, type Manifest, podsOf } from './manifests.js';
import { matches, passes, type Selector } from './selectors.js';

const everywhere = (name: string, ...set: readonly string[]) =>
  chart({
    name,
    values: ['../../test/k8s/values/everything.yaml'],
    set: ['nameOverride=', 'cluster=', 'networkPolicy.gatewayPeers=null', ...set],
  });

/** One name is the beginning of the other. */
const NAMES = ['troupe', 'troupe-2'] as const;

describe('two releases in one namespace', () => {
  const both = () => Promise.all(NAMES.map((name) => everywhere(name)));

  test('have no name in common', async () => {
    const [one = [], other = []] = (await both()).map((manifests) =>
      manifests.map(({ kind, metadata }) => `${kind}/${metadata.name}`),
    );
    expect(one.length).toBeGreaterThan(20);
    expect(one.filter((name) => other.includes(name))).toEqual([]);
  });

  test('select nothing of each other, and each something of its own', async () => {
    const [one = [], other = []] = await both();
    for (const [own, foreign] of [
      [one, other],
      [other, one],
    ] as const) {
      const selectors = selectorsOf(own);
      expect(selectors.length).toBeGreaterThan(40);
      const wrong = selectors.filter(({ selector, of }) => labelsOf(foreign, of).some((labels) => matches(selector, labels)));
      expect(wrong).toEqual([]);
      const idle = selectors.filter(({ selector, of }) => !labelsOf(own, of).some((labels) => matches(selector, labels)));
      expect(idle).toEqual([]);
    }
  });

  test('refer to nothing of each other', async () => {
    const [one = [], other = []] = await both();
    const names = [...new Set(other.map(({ metadata }) => metadata.name))];
    expect(names).toContain('troupe-2-registry');
    // The other way round every name of the one is a part of one of the other.
    for (const name of names) expect(JSON.stringify(one)).not.toContain(`"${name}`);
  });

  test('do not let each other in', async () => {
    const [one = [], other = []] = await both();
    expect(passages(one, other)).toEqual([]);
    expect(passages(other, one)).toEqual([]);
  });

  test('let each other in where they are parts of one cluster, all but their etcds', async () => {
    const [one = [], other = []] = await Promise.all(NAMES.map((name) => everywhere(name, 'cluster=eu')));
    const expected = [
      'registry → node',
      'node → registry',
      'node → node',
      'node → gateway',
      'gateway → registry',
      'gateway → node',
      'gateway → gateway',
    ].sort();
    expect(passages(one, other)).toEqual(expected);
    expect(passages(other, one)).toEqual(expected);
  });

  test('share the etcd of one of them where they are parts of one cluster', async () => {
    const away = ['etcd.enabled=false', 'externalEtcd.endpoints={http://troupe-etcd-0.troupe-etcd:2379}'];
    const [one, part, stranger] = await Promise.all([
      everywhere('troupe', 'cluster=eu'),
      everywhere('troupe-2', 'cluster=eu', ...away),
      everywhere('troupe-3', ...away),
    ]);
    expect(passages(part, one)).toContain('registry → etcd');
    expect(passages(stranger, one)).toEqual([]);
  });
});

const PORTS: Readonly<Record<string, number>> = { registry: 8000, node: 8765, gateway: 8080, etcd: 2379 };

/** What pods of one release reach of the other, by the policies of both. */
function passages(from: readonly Manifest[], to: readonly Manifest[]): string[] {
  const places = (manifests: readonly Manifest[]) =>
    podsOf(manifests).flatMap(({ labels }) => {
      const role = String(labels['app.kubernetes.io/component']);
      const port = PORTS[role];
      return port === undefined ? [] : [{ role, port, labels, namespace: 'troupe' }];
    });
  return places(from)
    .flatMap((source) =>
      places(to)
        .filter((target) => passes([...from, ...to], source, target, target.port))
        .map((target) => `${source.role} → ${target.role}`),
    )
    .sort();
}

interface Selecting {
  readonly where: string;
  readonly of: 'Pod' | 'Service';
  readonly selector: Selector;
}

/** Every selector that there is, wherever it stands: labels of pods, but for ServiceMonitors. */
function selectorsOf(manifests: readonly Manifest[]): Selecting[] {
  return manifests.flatMap((manifest) => {
    const { kind, metadata, spec } = manifest;
    const where = `${kind}/${metadata.name}`;
    if (kind === 'Service') return [{ where, of: 'Pod' as const, selector: { matchLabels: spec.selector } }];
    const found: Selecting[] = [];
    const visit = (value: unknown, key: string) => {
      if (typeof value !== 'object' || value === null) return;
      const isSelector = /^(selector|podSelector|labelSelector)$/.test(key);
      if (isSelector) found.push({ where, of: kind === 'ServiceMonitor' ? 'Service' : 'Pod', selector: value as Selector });
      else for (const [field, inner] of Object.entries(value)) visit(inner, field);
    };
    visit(spec, 'spec');
    return found;
  });
}

function labelsOf(manifests: readonly Manifest[], of: 'Pod' | 'Service'): readonly Record<string, string>[] {
  if (of === 'Pod') return podsOf(manifests).map(({ labels }) => labels);
  return manifests.filter(({ kind }) => kind === 'Service').map(({ metadata }) => metadata.labels ?? {});
}

test('one release with an overridden name is as closed to another as any', async () => {
  const [one, other] = await Promise.all([chart({ name: 'a', set: ['fullnameOverride=x'] }), chart({ name: 'b' })]);
  expect(find(one, 'Service', 'x-registry').spec.selector).toMatchObject({ 'app.kubernetes.io/instance': 'a' });
  expect(passages(one, other)).toEqual([]);
});
