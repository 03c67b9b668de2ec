import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { z } from 'zod';
import { type Ran, runCommand } from '../support/run-command.js';
import { KUBERNETES_VERSIONS, parseManifests, RENDERINGS, runHelm, tools } from './manifests.js';

describe('everything that is rendered', () => {
  test.each(KUBERNETES_VERSIONS)(
    'is what Kubernetes %s takes, with no field that it does not know',
    async (version) => {
      const texts: string[] = [];
      for (const render of Object.values(RENDERINGS)) texts.push(await render());
      const { code, stdout, stderr } = await validate(texts, version);
      const said = `${stdout}${stderr}`;
      expect(said).not.toMatch(/^ERROR/m);
      expect(code).toBe(0);
      // What it has no schema for is checked below, and nothing else.
      const withoutSchema = [...said.matchAll(/Couldn't find schema for kind (\w+)/g)].map(([, kind]) => kind as string);
      expect(Object.keys(OPERATORS)).toEqual(expect.arrayContaining(withoutSchema));
      const passed = said.match(/ passed for resource /g)?.length ?? 0;
      expect(passed + withoutSchema.length).toBe(texts.flatMap(parseManifests).length);
    },
    180_000,
  );

  test.each(Object.entries(RENDERINGS))('holds objects of operators as those define them: %s', async (_, render) => {
    for (const manifest of parseManifests(await render())) OPERATORS[manifest.kind]?.parse(manifest);
  });
});

describe('the checks themselves', () => {
  const pod = (field: string) =>
    `apiVersion: v1\nkind: Pod\nmetadata: {name: p}\nspec:\n  containers: [{name: c, image: i}]\n  ${field}\n`;

  test.each(KUBERNETES_VERSIONS)('refuse a field that Kubernetes %s does not know, and a wrong type', async (version) => {
    expect((await validate([pod('hostname: p')], version)).code).toBe(0);
    const unknown = await validate([pod('enableServiceLink: false')], version);
    expect(unknown).toMatchObject({ code: 1, stdout: expect.stringContaining('enableServiceLink') });
    expect((await validate([pod("terminationGracePeriodSeconds: 'long'")], version)).code).toBe(1);
  });

  test('refuse a field that an operator does not know', async () => {
    const rule = { apiVersion: 'monitoring.coreos.com/v1', kind: 'PrometheusRule', metadata: { name: 'r' }, spec: { group: [] } };
    expect(() => OPERATORS.PrometheusRule?.parse(rule)).toThrow(/group/);
  });
});

describe('helm lint --strict', () => {
  test.each([
    ['the defaults', []],
    ['values-dev.yaml', ['values-dev.yaml']],
    ['values-prod.yaml', ['values-prod.yaml']],
    ['values-external-etcd.yaml', ['values-external-etcd.yaml']],
    ['everything on', ['../../test/k8s/values/everything.yaml']],
    ['everything off', ['../../test/k8s/values/nothing.yaml']],
  ])('is content with %s', async (_, values) => {
    const { code, stdout } = await runHelm('lint', { values });
    expect(stdout).toContain('0 chart(s) failed');
    expect(code).toBe(0);
  });
});

async function validate(texts: readonly string[], version: string): Promise<Ran> {
  const folder = await mkdtemp(join(tmpdir(), 'troupe-k8s-'));
  try {
    const files = texts.map((_, index) => join(folder, `${index}.yaml`));
    await Promise.all(files.map((file, index) => writeFile(file, texts[index] as string)));
    return await runCommand(tools.validate, ['--strict', '--kubernetes-version', version, ...files], { timeoutMs: 120_000 });
  } finally {
    await rm(folder, { recursive: true });
  }
}

const labels = z.record(z.string(), z.string());
const metadata = z.strictObject({ name: z.string(), namespace: z.string().optional(), labels: labels.optional() });
const object = <T extends z.ZodType>(apiVersion: string, kind: string, spec: T) =>
  z.strictObject({ apiVersion: z.literal(apiVersion), kind: z.literal(kind), metadata, spec }) as z.ZodType<unknown>;
const duration = z.string().regex(/^\d+(ms|s|m|h|d)$/);

/**
 * What Kubernetes has no schema for, as far as Troupe uses it.
 * @see https://prometheus-operator.dev/docs/api-reference/api/
 * @see https://gateway-api.sigs.k8s.io/reference/spec/#grpcroute
 */
const OPERATORS: Readonly<Record<string, z.ZodType<unknown>>> = {
  ServiceMonitor: object(
    'monitoring.coreos.com/v1',
    'ServiceMonitor',
    z.strictObject({
      selector: z.strictObject({ matchLabels: labels }),
      jobLabel: z.string().optional(),
      endpoints: z.array(
        z.strictObject({
          port: z.string(),
          path: z.string().startsWith('/'),
          interval: duration,
          relabelings: z.array(z.strictObject({ sourceLabels: z.array(z.string()), targetLabel: z.string() })),
        }),
      ),
    }),
  ),
  PrometheusRule: object(
    'monitoring.coreos.com/v1',
    'PrometheusRule',
    z.strictObject({
      groups: z.array(
        z.strictObject({
          name: z.string(),
          rules: z.array(
            z.union([
              z.strictObject({ record: z.string(), expr: z.string() }),
              z.strictObject({ alert: z.string(), expr: z.string(), for: duration.optional(), labels, annotations: labels }),
            ]),
          ),
        }),
      ),
    }),
  ),
  GRPCRoute: object(
    'gateway.networking.k8s.io/v1',
    'GRPCRoute',
    z.strictObject({
      parentRefs: z.array(
        z.strictObject({ name: z.string(), namespace: z.string().optional(), sectionName: z.string().optional() }),
      ),
      hostnames: z.array(z.string()).optional(),
      rules: z.array(z.strictObject({ backendRefs: z.array(z.strictObject({ name: z.string(), port: z.number().int() })) })),
    }),
  ),
};
