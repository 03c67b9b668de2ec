import { describe, expect, test } from '@jest/globals';
import { chart, type Manifest, podsOf } from './manifests.js';
import { type Place, passes } from './selectors.js';

const ROLES = ['registry', 'node', 'gateway', 'etcd'] as const;
const PORTS = { registry: 8000, node: 8765, gateway: 8080, etcd: 2379 } as const;
const OUTSIDE: Record<string, Place> = {
  prometheus: { namespace: 'monitoring', labels: { app: 'prometheus' } },
  stranger: { namespace: 'elsewhere', labels: {} },
};
const DNS: Place = { namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } };

describe('the network policies', () => {
  test('let through what is needed, and nothing else', async () => {
    const manifests = await chart();
    const places = { ...placesOf(manifests), ...OUTSIDE };
    const open: string[] = [];
    for (const [from, source] of Object.entries(places)) {
      for (const role of ROLES) {
        for (const port of [PORTS[role], 2380, role === 'etcd' ? 2381 : 9464]) {
          if (passes(manifests, source, places[role] as Place, port)) open.push(`${from} → ${role}:${port}`);
        }
      }
    }
    expect(open.sort()).toEqual(
      [
        'registry → etcd:2379',
        'etcd → etcd:2379',
        'etcd → etcd:2380',
        'registry → node:8765',
        'node → registry:8000',
        'node → node:8765',
        'node → gateway:8080',
        'gateway → registry:8000',
        'gateway → node:8765',
        'gateway → gateway:8080',
        'stranger → gateway:8080',
        'prometheus → gateway:8080',
        'prometheus → registry:9464',
        'prometheus → node:9464',
        'prometheus → gateway:9464',
        'prometheus → etcd:2381',
      ].sort(),
    );
  });

  test('let every pod ask for names, and go nowhere else outside', async () => {
    const manifests = await chart();
    for (const place of Object.values(placesOf(manifests))) {
      expect(passes(manifests, place, DNS, 53)).toBe(true);
      expect(passes(manifests, place, DNS, 443)).toBe(false);
      expect(passes(manifests, place, OUTSIDE.stranger as Place, 443)).toBe(false);
      expect(passes(manifests, place, OUTSIDE.prometheus as Place, 4317)).toBe(false);
    }
  });

  test('open the way to a collector, for all but etcd, where one is named', async () => {
    const manifests = await chart({ values: ['values-prod.yaml'] });
    const reach = Object.entries(placesOf(manifests)).map(([role, place]) => [
      role,
      passes(manifests, place, OUTSIDE.prometheus as Place, 4317),
    ]);
    expect(Object.fromEntries(reach)).toEqual({ registry: true, node: true, gateway: true, etcd: false });
  });

  test('close the gateway to all but those who are named, and the other roles', async () => {
    const manifests = await chart({
      set: ['networkPolicy.gatewayPeers[0].namespaceSelector.matchLabels.kubernetes\\.io/metadata\\.name=elsewhere'],
    });
    const { gateway, node } = placesOf(manifests);
    expect(passes(manifests, OUTSIDE.stranger as Place, gateway as Place, 8080)).toBe(true);
    expect(passes(manifests, OUTSIDE.prometheus as Place, gateway as Place, 8080)).toBe(false);
    expect(passes(manifests, node as Place, gateway as Place, 8080)).toBe(true);
  });

  test('let agents out where they are told to', async () => {
    const set = ['networkPolicy.nodeEgress[0].ports[0].port=443'];
    const manifests = await chart({ set });
    const reach = Object.entries(placesOf(manifests)).map(([role, place]) => [
      role,
      passes(manifests, place, OUTSIDE.stranger as Place, 443),
    ]);
    expect(Object.fromEntries(reach)).toEqual({ registry: false, node: true, gateway: false, etcd: false });
  });

  test('let registries out to an etcd elsewhere, on its port only', async () => {
    const manifests = await chart({ values: ['values-external-etcd.yaml'] });
    const { registry, node } = placesOf(manifests);
    expect(passes(manifests, registry as Place, OUTSIDE.stranger as Place, 2379)).toBe(true);
    expect(passes(manifests, registry as Place, OUTSIDE.stranger as Place, 443)).toBe(false);
    expect(passes(manifests, node as Place, OUTSIDE.stranger as Place, 2379)).toBe(false);
  });

  test.each([
    [
      ['externalEtcd.endpoints={https://[fd00::1]:2379,b:12379}', 'externalEtcd.tls.existingSecret=tls'],
      [2379, 12379],
    ],
    [['externalEtcd.endpoints={http://etcd:80/}'], [80]],
    [['externalEtcd.endpoints={http://etcd:80}', 'externalEtcd.port=2379'], [2379]],
  ])('let registries out on the ports of its endpoints, or of the pods behind them: %j', async (set, ports) => {
    const manifests = await chart({ set: ['etcd.enabled=false', ...set] });
    const { registry } = placesOf(manifests);
    const open = [80, 2379, 12379].filter((port) => passes(manifests, registry as Place, OUTSIDE.stranger as Place, port));
    expect(open).toEqual(ports);
  });

  test.each([
    ['http://collector:14317', 14317],
    ['https://collector', 443],
  ])('let roles out to a collector on the port of its endpoint: %s', async (endpoint, port) => {
    const manifests = await chart({ set: [`telemetry.otlp.endpoint=${endpoint}`] });
    const { node } = placesOf(manifests);
    const open = [443, 4317, 14317].filter((each) => passes(manifests, node as Place, OUTSIDE.prometheus as Place, each));
    expect(open).toEqual([port]);
  });
});

/** Of the pods of each role. */
function placesOf(manifests: readonly Manifest[]): Record<string, Place> {
  const places = podsOf(manifests).map(
    ({ labels }) => [labels['app.kubernetes.io/component'] as string, { labels, namespace: 'troupe' }] as const,
  );
  return Object.fromEntries(places.filter(([role]) => role !== 'test'));
}
