import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { cleanUp } from '../support/clean-up.js';
import { chart, type Manifest, runHelm } from './manifests.js';

/** As Kubernetes writes down what was given: in the largest unit that has no fraction. */
const CANONICAL: Readonly<Record<string, string>> = { '1024Mi': '1Gi', '1.5Gi': '1536Mi' };

describe('an upgrade of what is there', () => {
  test.each([
    ['of all that can change', 'nodes.drainGraceSeconds=60,nodes.autoscaling.maxReplicas=20,etcd.quotaMegabytes=1024'],
    ['to the same size in another unit', 'nodes.persistence.size=1024Mi,etcd.persistence.size=1024Mi'],
    ['to an etcd elsewhere', 'etcd.enabled=false,externalEtcd.endpoints={http://etcd:2379}'],
  ])('goes: %s', async (_, change) => {
    expect(await upgrade([], [change])).toMatchObject({ code: 0, stderr: expect.not.stringContaining('Error') });
  });

  test('goes from a size that Kubernetes writes in another unit', async () => {
    const sizes = ['nodes.persistence.size=1024Mi', 'etcd.persistence.size=1.5Gi'];
    expect(await upgrade(sizes, sizes)).toMatchObject({ code: 0 });
  });

  test.each([
    [
      'the size of the volumes of nodes',
      [],
      'nodes.persistence.size=5Gi',
      'nodes.persistence: the StatefulSet troupe-node has volumes of 1Gi of the default class, and cannot change to volumes of 5Gi of the default class',
    ],
    [
      'no volumes, from some',
      [],
      'nodes.persistence.enabled=false',
      'nodes.persistence: the StatefulSet troupe-node has volumes of 1Gi of the default class, and cannot change to no volumes',
    ],
    [
      'volumes, from none',
      ['nodes.persistence.enabled=false'],
      'nodes.persistence.storageClass=fast',
      'nodes.persistence: the StatefulSet troupe-node has no volumes, and cannot change to volumes of 1Gi of the class fast',
    ],
    [
      'the class of the volumes of etcd',
      ['etcd.persistence.storageClass=slow'],
      'etcd.persistence.storageClass=fast',
      'etcd.persistence: the StatefulSet troupe-etcd has volumes of 1Gi of the class slow, and cannot change to volumes of 1Gi of the class fast',
    ],
    [
      'the members of etcd',
      [],
      'etcd.replicas=5',
      'etcd.replicas: is 5, and the cluster of troupe-etcd was made with 3 members, which stays so',
    ],
  ])('is refused, with what to do: %s', async (_, before, change, message) => {
    const { code, stdout, stderr } = await upgrade(before, [change]);
    expect(stderr).toContain(message);
    expect(stderr).toContain('docs/deploy-kubernetes.md');
    if (message.includes('StatefulSet'))
      expect(stderr).toMatch(/`kubectl -n troupe delete statefulset troupe-(node|etcd) --cascade=orphan`/);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  });
});

/** Renders the chart against a cluster in which it is installed: as much of its API as helm asks for. */
async function upgrade(before: readonly string[], after: readonly string[]) {
  const there = (await chart({ set: before })).filter(({ kind }) => kind === 'StatefulSet').map(asStored);
  const server = createServer((request, response) => {
    const path = request.url?.split('?')[0] ?? '';
    const answer =
      ANSWERS[path] ?? there.find(({ metadata }) => path.endsWith(`/namespaces/troupe/statefulsets/${metadata.name}`));
    response.writeHead(answer === undefined ? 404 : 200, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify(answer ?? { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404 }),
    );
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanUp(() => new Promise((resolve) => server.close(resolve)));
  const folder = await mkdtemp(join(tmpdir(), 'troupe-kubeconfig-'));
  cleanUp(() => rm(folder, { recursive: true }));
  const kubeconfig = join(folder, 'config');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  // JSON is YAML.
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'c', cluster: { server: url } }],
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    users: [{ name: 'u', user: {} }],
    'current-context': 'c',
  };
  await writeFile(kubeconfig, JSON.stringify(config));
  return runHelm('template', { set: after, cluster: kubeconfig });
}

const ANSWERS: Readonly<Record<string, unknown>> = {
  '/version': { major: '1', minor: '34', gitVersion: 'v1.34.0' },
  '/api': { kind: 'APIVersions', versions: ['v1'] },
  '/apis': {
    kind: 'APIGroupList',
    apiVersion: 'v1',
    groups: [
      {
        name: 'apps',
        versions: [{ groupVersion: 'apps/v1', version: 'v1' }],
        preferredVersion: { groupVersion: 'apps/v1', version: 'v1' },
      },
    ],
  },
  '/api/v1': { kind: 'APIResourceList', groupVersion: 'v1', resources: [] },
  '/apis/apps/v1': {
    kind: 'APIResourceList',
    groupVersion: 'apps/v1',
    resources: [
      { name: 'statefulsets', singularName: 'statefulset', namespaced: true, kind: 'StatefulSet', verbs: ['get', 'list'] },
    ],
  },
};

function asStored(manifest: Manifest): Manifest {
  const text = JSON.stringify(manifest).replace(/"storage":"([^"]+)"/g, (all, size) =>
    size in CANONICAL ? `"storage":"${CANONICAL[size]}"` : all,
  );
  return JSON.parse(text);
}
