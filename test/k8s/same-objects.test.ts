import { describe, expect, test } from '@jest/globals';
import { chart, kustomization, type Manifest } from './manifests.js';

/** Labels that say who made an object, not what it is. */
const MAKERS = ['app.kubernetes.io/managed-by', 'helm.sh/chart'];

describe('the chart renders to the objects of the kustomization', () => {
  test.each([
    ['its defaults', [], 'base'],
    ['values-dev.yaml', ['values-dev.yaml'], 'overlays/dev'],
    ['values-prod.yaml', ['values-prod.yaml'], 'overlays/prod'],
    ['values-external-etcd.yaml', ['values-external-etcd.yaml'], 'overlays/external-etcd'],
  ])('with %s', async (_, values, folder) => {
    const [ofChart, ofKustomization] = await Promise.all([chart({ values }), kustomization(folder)]);
    expect(comparable(ofChart)).toEqual(comparable(ofKustomization));
  });

  test('and the kustomization makes a namespace, which is up to `helm --create-namespace` otherwise', async () => {
    const kinds = async (manifests: Promise<Manifest[]>) => new Set((await manifests).map(({ kind }) => kind));
    expect(await kinds(kustomization('base'))).toContain('Namespace');
    expect(await kinds(chart())).not.toContain('Namespace');
  });
});

/** Objects by kind and name; lists whose order says nothing in order of their names. */
function comparable(manifests: readonly Manifest[]): Record<string, unknown> {
  const objects: Record<string, unknown> = {};
  for (const manifest of manifests) {
    const { kind, metadata } = manifest;
    if (kind === 'Namespace' || metadata.annotations?.['helm.sh/hook'] !== undefined) continue;
    const labels = Object.fromEntries(Object.entries(metadata.labels ?? {}).filter(([key]) => !MAKERS.includes(key)));
    const name = `${kind}/${metadata.name}`;
    if (objects[name] !== undefined) throw new Error(`${name} is there twice`);
    objects[name] = inOrder({ ...manifest, metadata: { ...metadata, labels } });
  }
  return objects;
}

const UNORDERED = new Set(['env', 'volumes', 'volumeMounts']);

function inOrder(value: unknown, key = ''): unknown {
  if (Array.isArray(value)) {
    const items = value.map((item) => inOrder(item));
    return UNORDERED.has(key) ? items.sort((a, b) => nameOf(a).localeCompare(nameOf(b))) : items;
  }
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([field, item]) => [field, inOrder(item, field)]));
}

function nameOf(item: unknown): string {
  return (item as { readonly name: string }).name;
}
