import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { INSTRUMENTS, type Instrument, prometheusName } from '../../src/telemetry/instruments.js';
import { ROOT } from '../support/processes.js';
import { unknownSettings } from '../support/program-flags.js';
import { runCommand } from '../support/run-command.js';
import { chart, find, K8S, kustomization, podsOf, promtool } from './manifests.js';
import { readsOf } from './promql.js';

interface Query {
  readonly where: string;
  readonly expr: string;
  /** Labels that a text about its result names. */
  readonly told: readonly string[];
}

interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

const RULES = join(K8S, 'alerts', 'troupe.rules.yaml');
const rules: readonly Rule[] = parse(await readFile(RULES, 'utf8')).groups.flatMap(({ rules }: { rules: Rule[] }) => rules);
const alerts = rules.filter(({ alert }) => alert !== undefined);

/** Given by whoever scrapes. */
const OF_TARGETS = ['job', 'instance', 'namespace', 'pod', 'component', 'troupe_cluster'];
/** What tells clusters apart. */
const OF_CLUSTER = ['namespace', 'troupe_cluster'];
/** Of Prometheus itself and of kube-state-metrics. */
const OF_OTHERS: Readonly<Record<string, readonly string[]>> = {
  up: OF_TARGETS,
  kube_horizontalpodautoscaler_status_current_replicas: ['namespace', 'horizontalpodautoscaler'],
  kube_horizontalpodautoscaler_spec_max_replicas: ['namespace', 'horizontalpodautoscaler'],
};
const labelsOfMetric = new Map<string, readonly string[]>(Object.entries(OF_OTHERS));
for (const { record } of rules) if (record !== undefined) labelsOfMetric.set(record, OF_CLUSTER);
for (const instrument of Object.values<Instrument>(INSTRUMENTS)) {
  const labels = [...OF_TARGETS, ...instrument.labels];
  const name = prometheusName(instrument);
  if (instrument.kind !== 'histogram') labelsOfMetric.set(name, labels);
  else {
    labelsOfMetric.set(`${name}_bucket`, [...labels, 'le']);
    labelsOfMetric.set(`${name}_sum`, labels);
    labelsOfMetric.set(`${name}_count`, labels);
  }
}

const queries = [...rules.map(queryOfRule), ...(await queriesOfDashboards()), ...(await queriesOfAdapter())];

describe('each query', () => {
  test('reads metrics that there are, by labels that they have', () => {
    const wrong: string[] = [];
    for (const { where, expr, told } of queries) {
      const { selections, groupings, given } = readsOf(expr);
      expect({ where, selections }).not.toEqual({ where, selections: [] });
      const has = new Set<string>();
      for (const { metric, labels } of selections) {
        const known = labelsOfMetric.get(metric);
        if (known === undefined) wrong.push(`${where}: there is no metric ${metric}`);
        for (const label of known ?? []) has.add(label);
        for (const label of labels) if (known?.includes(label) === false) wrong.push(`${where}: ${metric} has no label ${label}`);
      }
      for (const label of groupings) if (!has.has(label)) wrong.push(`${where}: nothing in it has the label ${label}`);
      const left = new Set([...(groupings.length > 0 && /\bby\b/.test(expr) ? groupings : has), ...given]);
      for (const label of told) if (!left.has(label)) wrong.push(`${where}: its result has no label ${label}`);
    }
    expect(wrong).toEqual([]);
  });

  test('and each instrument is in one, but for those that say what there is', () => {
    const read = new Set(
      queries.flatMap(({ expr }) => readsOf(expr).selections.map(({ metric }) => metric.replace(/_(bucket|count|sum)$/, ''))),
    );
    const unread = Object.values<Instrument>(INSTRUMENTS)
      .map(prometheusName)
      .filter((name) => !read.has(name));
    expect(unread).toEqual([]);
  });

  test.each([
    ['a metric in a function', 'rate(a_total[5m])', [['a_total', []]], []],
    ['labels', 'a{x="1", y=~"by (z)|b"} > 0.5e3', [['a', ['x', 'y']]], []],
    [
      'groupings before and after',
      'sum by (x, le) (a) / sum(b) without (y)',
      [
        ['a', []],
        ['b', []],
      ],
      ['x', 'le', 'y'],
    ],
    [
      'words between',
      'a unless on (job) b{c!="d"} or vector(1)',
      [
        ['a', []],
        ['b', ['c']],
      ],
      ['job'],
    ],
    ["Grafana's variables", 'increase(a{i=~"$instance"}[$__rate_interval])', [['a', ['i']]], []],
  ])('is understood: %s', (_, expr, selections, groupings) => {
    const reads = readsOf(expr);
    expect(reads.selections.map(({ metric, labels }) => [metric, labels])).toEqual(selections);
    expect(reads.groupings).toEqual(groupings);
  });
});

describe('clusters on one Prometheus are told apart', () => {
  test('by each rule: what it sums up is of one cluster', () => {
    const wrong: string[] = [];
    for (const { alert, record, expr } of rules) {
      for (const [found, , labels = ''] of expr.matchAll(/\b(?:sum|max|min|avg|count|group)\b\s*(by \(([^)]*)\))?/g)) {
        const by = labels.split(/, */);
        if (!OF_CLUSTER.every((label) => by.includes(label))) wrong.push(`${alert ?? record}: ${found}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  test('by each panel: it reads what is of those that were chosen', async () => {
    const panels = (await queriesOfDashboards()).filter(({ where }) => !where.endsWith(', variables'));
    expect(panels.length).toBeGreaterThan(40);
    for (const { where, expr } of panels) {
      for (const { labels } of readsOf(expr).selections)
        expect({ where, labels }).toEqual({ where, labels: expect.arrayContaining(OF_CLUSTER) });
    }
  });

  test('by the label that is scraped from the pods, in the chart and in the kustomization', async () => {
    const manifests = await chart({ set: ['cluster=eu', 'monitoring.serviceMonitor=true'] });
    for (const each of [manifests, await kustomization('overlays/prod')]) {
      const monitors = each.filter(({ kind }) => kind === 'ServiceMonitor');
      expect(monitors).toHaveLength(2);
      for (const { spec } of monitors) {
        expect(spec.endpoints[0].relabelings).toContainEqual({
          sourceLabels: ['__meta_kubernetes_pod_label_troupe_dev_cluster'],
          targetLabel: 'troupe_cluster',
        });
      }
    }
    const clusters = podsOf(manifests).flatMap(({ name, labels }) =>
      name.startsWith('Pod/') ? [] : labels['troupe.dev/cluster'],
    );
    expect(clusters).toEqual(['eu', 'eu', 'eu', 'eu']);
  });
});

describe('each alert', () => {
  test.each(alerts.map(({ alert, ...rule }) => [alert as string, rule] as const))(
    '%s says what to do',
    async (alert, { labels, annotations }) => {
      expect(labels).toEqual({ severity: expect.stringMatching(/^(critical|warning)$/) });
      expect(annotations).toEqual({
        summary: expect.any(String),
        description: expect.any(String),
        runbook_url: `https://github.com/troupe-dev/troupe/blob/main/docs/runbook.md#${alert.toLowerCase()}`,
      });
    },
  );

  test('has one section of the runbook, and each section an alert', async () => {
    const runbook = await readFile(join(ROOT, 'docs', 'runbook.md'), 'utf8');
    const sections = [...runbook.matchAll(/^## (Troupe\w+)\n([\s\S]*?)(?=^## |(?![\s\S]))/gm)].map(([, name, text]) => ({
      name,
      text,
    }));
    expect(sections.map(({ name }) => name).sort()).toEqual(alerts.map(({ alert }) => alert).sort());
    for (const { name, text } of sections) {
      for (const part of ['**Means**', '**Look**', '**Do**'])
        expect({ name, has: text?.includes(part) && part }).toEqual({ name, has: part });
    }
  });

  test('names commands and flags of troupe that there are', async () => {
    const runbook = await readFile(join(ROOT, 'docs', 'runbook.md'), 'utf8');
    const commands = [...runbook.matchAll(/`troupe ([a-z][^`]*)`/g)].map(([, line]) => line?.split(' ') ?? []);
    expect(commands.length).toBeGreaterThan(10);
    const wrong = await Promise.all(
      commands.map(([command = '', ...rest]) =>
        unknownSettings({ args: [command === 'scale' ? `scale ${rest.shift()}` : command, ...rest], env: [] }),
      ),
    );
    expect(wrong.flat()).toEqual([]);
  });
});

describe('promtool', () => {
  test('takes the rules', async () => {
    expect(await runCommand(promtool, ['check', 'rules', RULES])).toMatchObject({
      code: 0,
      stdout: expect.stringContaining('SUCCESS'),
    });
  });

  test('finds that they fire when they should, and only then', async () => {
    const { code, stdout, stderr } = await runCommand(promtool, ['test', 'rules', join(K8S, 'alerts', 'troupe.rules.test.yaml')]);
    expect(`${stdout}${stderr}`).not.toContain('FAILED');
    expect(code).toBe(0);
  });

  test('takes the queries of the dashboards', async () => {
    const taken = (await queriesOfDashboards()).map(({ expr }) =>
      expr.replaceAll('$__rate_interval', '5m').replaceAll(/\$(instance|namespace|cluster)/g, '.*'),
    );
    const file = JSON.stringify({
      groups: [{ name: 'dashboards', rules: taken.map((expr, index) => ({ record: `d:${index}`, expr })) }],
    });
    const folder = await mkdtemp(join(tmpdir(), 'troupe-rules-'));
    try {
      await writeFile(join(folder, 'rules.json'), file);
      const { stdout, stderr } = await runCommand(promtool, ['check', 'rules', join(folder, 'rules.json')]);
      expect(`${stdout}${stderr}`).toContain(`SUCCESS: ${taken.length} rules found`);
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

test('the autoscaler asks for what the adapter gives', async () => {
  const hpa = find(await chart({ values: ['values-prod.yaml'] }), 'HorizontalPodAutoscaler', 'troupe-node');
  const asked = hpa.spec.metrics.flatMap(({ pods }: { pods?: { metric: { name: string } } }) => pods?.metric.name ?? []);
  expect(asked).toEqual([prometheusName(INSTRUMENTS.tasksInFlight)]);
  expect((await adapterRules()).map(({ name }) => name.as)).toEqual(asked);
});

test('dashboards and the rule of the operator are those that their sources make', async () => {
  expect(await runCommand(process.execPath, ['scripts/generate-monitoring.mjs', '--check'])).toMatchObject({
    code: 0,
    stderr: '',
  });
});

function queryOfRule({ alert, record, expr, annotations = {} }: Rule): Query {
  const told = Object.values(annotations).flatMap((text) =>
    [...text.matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label as string),
  );
  return { where: alert ?? record ?? '', expr, told };
}

interface Panel {
  readonly title: string;
  readonly targets?: readonly { readonly expr: string; readonly legendFormat: string }[];
}

async function queriesOfDashboards(): Promise<Query[]> {
  const folder = join(K8S, 'dashboards');
  const found: Query[] = [];
  for (const file of (await readdir(folder)).filter((name) => name.endsWith('.json'))) {
    const { panels, templating } = JSON.parse(await readFile(join(folder, file), 'utf8'));
    for (const { title, targets = [] } of panels as Panel[]) {
      for (const { expr, legendFormat } of targets) {
        found.push({
          where: `${file}, ${title}`,
          expr,
          told: [...legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label as string),
        });
      }
    }
    for (const { definition } of templating.list) {
      const [, metric, label] = /^label_values\((\w+(?:\{.*\})?), (\w+)\)$/.exec(definition ?? '') ?? [];
      if (metric !== undefined && label !== undefined) found.push({ where: `${file}, variables`, expr: metric, told: [label] });
    }
  }
  return found;
}

interface AdapterRule {
  readonly seriesQuery: string;
  readonly metricsQuery: string;
  readonly name: { readonly as: string };
}

async function adapterRules(): Promise<AdapterRule[]> {
  return parse(await readFile(join(K8S, 'monitoring', 'prometheus-adapter.yaml'), 'utf8')).rules.custom;
}

async function queriesOfAdapter(): Promise<Query[]> {
  return (await adapterRules()).flatMap(({ seriesQuery, metricsQuery }) => [
    { where: 'the series of the adapter', expr: seriesQuery, told: [] },
    {
      where: 'the query of the adapter',
      expr: metricsQuery.replace('<<.GroupBy>>', 'pod').replaceAll('<<.LabelMatchers>>', 'pod="p"'),
      told: ['pod'],
    },
  ]);
}
