import { describe, expect, test } from '@jest/globals';
import { chart, find, type Manifest, parseManifests, podsOf, RENDERINGS } from './manifests.js';

describe.each(Object.entries(RENDERINGS))('%s', (_, render) => {
  const manifests = async () => parseManifests(await render());

  test('starts no pod that has to wait for the one in whose place it comes', async () => {
    const deployments = (await manifests()).filter(({ kind }) => kind === 'Deployment');
    expect(deployments).toHaveLength(2);
    for (const { metadata, spec } of deployments) {
      const surges = spec.strategy.rollingUpdate.maxSurge > 0;
      const { requiredDuringSchedulingIgnoredDuringExecution: required } = spec.template.spec.affinity.podAntiAffinity;
      expect({ name: metadata.name, surges }).toEqual({ name: metadata.name, surges: required === undefined });
      // One of both, or an upgrade cannot begin.
      expect(spec.strategy.rollingUpdate.maxUnavailable).toBe(surges ? 0 : 1);
    }
  });

  test('spreads over zones what will be there, and not what is about to go', async () => {
    for (const { kind, spec } of await manifests()) {
      if (kind !== 'Deployment' && kind !== 'StatefulSet') continue;
      const surges = spec.strategy?.rollingUpdate.maxSurge > 0;
      const [constraint] = spec.template.spec.topologySpreadConstraints;
      expect(constraint.matchLabelKeys).toEqual(surges ? ['pod-template-hash'] : undefined);
    }
  });

  test('lets a machine be emptied, however few pods there are', async () => {
    for (const { kind, spec } of await manifests()) {
      if (kind === 'PodDisruptionBudget')
        expect(spec).toMatchObject({ maxUnavailable: 1, unhealthyPodEvictionPolicy: 'AlwaysAllow' });
      if (kind === 'PodDisruptionBudget') expect(spec).not.toHaveProperty('minAvailable');
    }
  });

  test('leaves the number of nodes to the autoscaler where there is one', async () => {
    const all = await manifests();
    const autoscalers = all.filter(({ kind }) => kind === 'HorizontalPodAutoscaler');
    const nodes = all.find(({ kind, metadata }) => kind === 'StatefulSet' && metadata.name.endsWith('-node')) as Manifest;
    expect(nodes.spec.replicas === undefined).toBe(autoscalers.length === 1);
    for (const { spec } of autoscalers) {
      expect(spec.scaleTargetRef).toEqual({ apiVersion: 'apps/v1', kind: 'StatefulSet', name: nodes.metadata.name });
    }
  });

  test('gives the members of etcd and the nodes names before they are ready', async () => {
    const services = (await manifests()).filter(
      ({ kind, metadata }) => kind === 'Service' && /-(etcd|node)$/.test(metadata.name),
    );
    expect(services.length).toBeGreaterThan(0);
    for (const { spec } of services) expect(spec).toMatchObject({ clusterIP: 'None', publishNotReadyAddresses: true });
  });
});

test('pods carry the annotations, priority and account that they are given', async () => {
  const manifests = await chart({ name: 'other', values: ['../../test/k8s/values/everything.yaml'] });
  const workloads = manifests.filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
  expect(workloads).toHaveLength(4);
  for (const { spec } of workloads) expect(spec.template.metadata.annotations).toEqual({ 'checksum/policy': '0123' });
  for (const { name, spec } of podsOf(manifests)) {
    if (name.startsWith('Pod/')) continue;
    expect({ name, priority: spec.priorityClassName }).toEqual({ name, priority: 'important' });
  }
  expect(find(manifests, 'ServiceAccount', 'other-agents-node').metadata.annotations).toEqual({
    'eks.amazonaws.com/role-arn': 'arn:aws:iam::111122223333:role/agents',
  });
  expect(find(manifests, 'ServiceAccount', 'other-agents-gateway').metadata.annotations).toBeUndefined();
  expect(find(manifests, 'Service', 'other-agents-gateway').spec.loadBalancerSourceRanges).toEqual(['203.0.113.0/24']);
});
