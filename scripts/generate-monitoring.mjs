#!/usr/bin/env node
// Makes k8s/dashboards/ of scripts/lib/dashboards.mjs, and of k8s/alerts/troupe.rules.yaml the same rules for the Prometheus operator.
//
//   node scripts/generate-monitoring.mjs            writes them
//   node scripts/generate-monitoring.mjs --check    says what would change, and fails where something would
import { readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { DASHBOARDS } from './lib/dashboards.mjs';
import { ROOT } from './lib/paths.mjs';

const K8S = join(ROOT, 'k8s');
const DATASOURCE = { type: 'prometheus', uid: '$datasource' };
const COLUMNS = 24;
const SIZES = { stat: { w: 3, h: 4 }, timeseries: { w: 8, h: 8 } };

const files = [
  ...DASHBOARDS.map((each) => [join(K8S, 'dashboards', each.file), `${JSON.stringify(dashboard(each), null, 2)}\n`]),
  [join(K8S, 'alerts', 'prometheusrule.yaml'), prometheusRule(readFileSync(join(K8S, 'alerts', 'troupe.rules.yaml'), 'utf8'))],
];
const stale = files.filter(([path, text]) => current(path) !== text);
if (process.argv.includes('--check')) {
  for (const [path] of stale) console.error(`${relative(ROOT, path)} is stale; run node scripts/generate-monitoring.mjs`);
  if (stale.length > 0) process.exitCode = 1;
} else {
  for (const [path, text] of stale) {
    writeFileSync(path, text);
    console.log(`wrote ${relative(ROOT, path)}`);
  }
}

function current(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** Rules of a file are what is under `spec` of the operator's kind. */
function prometheusRule(rules) {
  const version = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).version;
  const head = `# Made of troupe.rules.yaml by scripts/generate-monitoring.mjs.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: troupe
  labels:
    app.kubernetes.io/name: troupe
    app.kubernetes.io/instance: troupe
    app.kubernetes.io/part-of: troupe
    app.kubernetes.io/version: "${version}"
spec:
`;
  return head + rules.replace(/^(?=[^\n])/gm, '  ');
}

function dashboard({ uid, title, description, instances, rows }) {
  const panels = [];
  let y = 0;
  for (const [name, ...contents] of rows) {
    panels.push({
      id: panels.length + 1,
      type: 'row',
      title: name,
      collapsed: false,
      gridPos: { x: 0, y, w: COLUMNS, h: 1 },
      panels: [],
    });
    y += 1;
    let x = 0;
    let height = 0;
    for (const content of contents) {
      const { w, h } = SIZES[content.type];
      if (x + w > COLUMNS) {
        x = 0;
        y += height;
        height = 0;
      }
      panels.push(panel(content, panels.length + 1, { x, y, w, h }));
      x += w;
      height = Math.max(height, h);
    }
    y += height;
  }
  return {
    uid,
    title,
    description,
    tags: ['troupe'],
    schemaVersion: 39,
    version: 1,
    editable: true,
    graphTooltip: 1,
    refresh: '30s',
    time: { from: 'now-1h', to: 'now' },
    timezone: 'browser',
    links: [{ type: 'dashboards', title: 'Troupe', tags: ['troupe'], asDropdown: true, keepTime: true, includeVars: false }],
    annotations: { list: [] },
    templating: { list: variables(instances) },
    panels,
  };
}

function variables(instances) {
  const datasource = { type: 'datasource', name: 'datasource', label: 'Prometheus', query: 'prometheus', current: {}, hide: 0 };
  const shown = [
    choice('namespace', 'Namespace', 'label_values(troupe_build_info, namespace)', false),
    choice('cluster', 'Cluster', 'label_values(troupe_build_info{namespace=~"$namespace"}, troupe_cluster)', false),
    ...(instances === undefined ? [] : [choice('instance', 'Process', instances, true)]),
  ];
  return [datasource, ...shown];
}

/** Of the values of a label. All of them match also what has no such label. */
function choice(name, label, query, multi) {
  return {
    type: 'query',
    name,
    label,
    datasource: DATASOURCE,
    query: { query, refId: name },
    definition: query,
    refresh: 2,
    sort: 1,
    multi,
    includeAll: true,
    allValue: '.*',
    current: { text: 'All', value: '$__all' },
  };
}

function panel({ type, title, unit, queries, thresholds = [] }, id, gridPos) {
  const colours = ['green', 'orange', 'red'];
  const steps = [null, ...thresholds].map((value, index) => ({ color: colours[index], value }));
  const targets = queries.map(([legend, expr], index) => ({
    refId: String.fromCharCode(65 + index),
    datasource: DATASOURCE,
    expr,
    legendFormat: legend === '' ? '__auto' : legend,
    range: true,
  }));
  const options =
    type === 'stat'
      ? { reduceOptions: { calcs: ['lastNotNull'], fields: '', values: false }, colorMode: 'value', graphMode: 'area' }
      : { legend: { displayMode: 'list', placement: 'bottom', showLegend: true }, tooltip: { mode: 'multi', sort: 'desc' } };
  return {
    id,
    type,
    title,
    datasource: DATASOURCE,
    gridPos,
    fieldConfig: { defaults: { unit, min: 0, thresholds: { mode: 'absolute', steps } }, overrides: [] },
    options,
    targets,
  };
}
