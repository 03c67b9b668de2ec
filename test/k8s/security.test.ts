import { describe, expect, test } from '@jest/globals';
import { parseManifests, podsOf, RENDERINGS } from './manifests.js';

/** What the restricted pod security standard allows as volumes. */
const VOLUMES = ['configMap', 'csi', 'downwardAPI', 'emptyDir', 'ephemeral', 'persistentVolumeClaim', 'projected', 'secret'];

describe.each(Object.entries(RENDERINGS))('each pod of %s', (_, render) => {
  const pods = async () => podsOf(parseManifests(await render()));
  const containers = async () =>
    (await pods()).flatMap(({ name, spec }) =>
      [...(spec.initContainers ?? []), ...spec.containers].map((container) => ({ name: `${name}/${container.name}`, container })),
    );

  test('keeps to the restricted pod security standard', async () => {
    for (const { name, spec } of await pods()) {
      expect({ name, ...spec.securityContext }).toMatchObject({
        name,
        runAsNonRoot: true,
        runAsUser: 10001,
        seccompProfile: { type: 'RuntimeDefault' },
      });
      expect(spec).not.toHaveProperty('hostNetwork');
      expect(spec).not.toHaveProperty('hostPID');
      expect(spec).not.toHaveProperty('hostIPC');
      for (const { name: _, ...source } of spec.volumes ?? []) expect(VOLUMES).toContain(Object.keys(source)[0]);
    }
    for (const { name, container } of await containers()) {
      expect({ name, ...container.securityContext }).toEqual({
        name,
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
      for (const port of container.ports ?? []) expect(port).not.toHaveProperty('hostPort');
    }
  });

  test('has no token of the API, and nothing from links of services', async () => {
    for (const { name, spec } of await pods()) {
      expect({ name, token: spec.automountServiceAccountToken, links: spec.enableServiceLinks }).toEqual({
        name,
        token: false,
        links: false,
      });
    }
  });

  test('has an account of its own, which is there', async () => {
    const accounts = parseManifests(await render()).filter(({ kind }) => kind === 'ServiceAccount');
    const used = (await pods()).flatMap(({ spec }) => spec.serviceAccountName ?? []);
    expect(accounts.map(({ metadata }) => metadata.name).sort()).toEqual([...used].sort());
    for (const account of accounts) expect(account.automountServiceAccountToken).toBe(false);
  });

  test('says what it needs and what it may take', async () => {
    for (const { name, container } of await containers()) {
      const { requests, limits } = container.resources;
      expect({ name, requests, limits }).toEqual({
        name,
        requests: { cpu: expect.anything(), memory: expect.any(String) },
        limits: { cpu: expect.anything(), memory: expect.any(String) },
      });
    }
  });

  test('has its secrets by reference only', async () => {
    for (const { name, container } of await containers()) {
      for (const { name: variable, value } of container.env ?? []) {
        if (/PASSWORD|TOKEN|SECRET|_USER$/.test(variable))
          expect({ name, variable, value }).toEqual({ name, variable, value: undefined });
      }
    }
    expect(parseManifests(await render()).filter(({ kind }) => kind === 'Secret')).toEqual([]);
  });
});

test('the base has the resources of each role', async () => {
  const resources = Object.fromEntries(
    podsOf(parseManifests(await (RENDERINGS['kustomize base'] as () => Promise<string>)())).map(({ name, spec }) => [
      name,
      spec.containers[0].resources,
    ]),
  );
  expect(resources).toMatchObject({
    'Deployment/troupe-registry': { requests: { cpu: '250m', memory: '256Mi' }, limits: { cpu: '500m', memory: '512Mi' } },
    'StatefulSet/troupe-node': { requests: { cpu: '500m', memory: '512Mi' }, limits: { cpu: '1', memory: '1Gi' } },
  });
});
