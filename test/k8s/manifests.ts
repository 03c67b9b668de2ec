import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { parseAllDocuments } from 'yaml';
import { ROOT } from '../support/processes.js';
import { type Ran, runCommand } from '../support/run-command.js';

/** A Kubernetes object, as far as these tests look at it. */
export interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly labels?: Record<string, string>;
    readonly annotations?: Record<string, string>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: the shape is up to the kind, and a schema has been asked about it.
  readonly spec?: any;
  readonly data?: Record<string, string>;
  readonly [field: string]: unknown;
}

interface Tools {
  readonly helm: string;
  readonly kustomize: readonly string[];
  readonly validate: string;
}

export const K8S = join(ROOT, 'k8s');
export const CHART = join(K8S, 'chart');
/** The oldest that the chart takes, and the newest whose schemas there are. */
export const KUBERNETES_VERSIONS = ['1.30', '1.37'] as const;

/** Made once for a test file. `make k8s-check` has got the tools before, so that this only looks where they are. */
export const tools: Tools = JSON.parse(await answerOf('install-k8s-tools.mjs'));
export const promtool: string = JSON.parse(await answerOf('install-prometheus.mjs')).promtool;

async function answerOf(script: string): Promise<string> {
  const { stdout } = await promisify(execFile)(process.execPath, [join('scripts', script)], { cwd: ROOT, timeout: 900_000 });
  return stdout;
}

export interface Release {
  readonly name?: string;
  /** Files beside the chart's own, relative to it. */
  readonly values?: readonly string[];
  /** As with `helm --set`. */
  readonly set?: readonly string[];
  /** A kubeconfig: looks up what is there. */
  readonly cluster?: string;
}

export function runHelm(
  command: 'template' | 'lint',
  { name = 'troupe', values = [], set = [], cluster }: Release = {},
): Promise<Ran> {
  const args = [
    ...(command === 'lint' ? ['lint', '--strict', CHART] : ['template', name, CHART, '--kube-version', '1.34.0']),
    ...['--namespace', 'troupe'],
    ...(cluster === undefined ? [] : ['--kubeconfig', cluster, '--dry-run=server']),
    ...values.flatMap((file) => ['--values', join(CHART, file)]),
    ...set.flatMap((each) => ['--set', each]),
  ];
  return runCommand(tools.helm, args);
}

/** What the chart renders to. @throws with what helm said. */
export async function chartText(release: Release = {}): Promise<string> {
  const { code, stdout, stderr } = await runHelm('template', release);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

/** What a kustomization renders to: `base`, `overlays/dev`. @throws with what kustomize said. */
export async function kustomizationText(folder: string): Promise<string> {
  const [command = '', ...args] = tools.kustomize;
  const { code, stdout, stderr } = await runCommand(command, [...args, join(K8S, folder)]);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

/** @throws when a key is there twice, as well as for what is no YAML. */
export function parseManifests(text: string): Manifest[] {
  return parseAllDocuments(text, { uniqueKeys: true }).flatMap((document) => {
    if (document.errors[0] !== undefined) throw document.errors[0];
    return (document.toJS() as Manifest | null) ?? [];
  });
}

export const chart = async (release?: Release) => parseManifests(await chartText(release));
export const kustomization = async (folder: string) => parseManifests(await kustomizationText(folder));

export function find(manifests: readonly Manifest[], kind: string, name: string): Manifest {
  const found = manifests.find((each) => each.kind === kind && each.metadata.name === name);
  if (found === undefined) throw new Error(`there is no ${kind} ${name}`);
  return found;
}

/** A pod that a manifest makes: a workload's, or one itself. */
export interface Pod {
  readonly name: string;
  readonly labels: Record<string, string>;
  // biome-ignore lint/suspicious/noExplicitAny: a PodSpec; a schema has been asked about it.
  readonly spec: any;
}

export function podsOf(manifests: readonly Manifest[]): Pod[] {
  return manifests.flatMap(({ kind, metadata, spec }): Pod[] => {
    const name = `${kind}/${metadata.name}`;
    if (kind === 'Pod') return [{ name, labels: metadata.labels ?? {}, spec }];
    if (kind !== 'Deployment' && kind !== 'StatefulSet') return [];
    return [{ name, labels: spec.template.metadata.labels, spec: spec.template.spec }];
  });
}

/** All renderings that tests look at, by name; each is made once. */
export const RENDERINGS: Readonly<Record<string, () => Promise<string>>> = once({
  'kustomize base': () => kustomizationText('base'),
  'kustomize dev': () => kustomizationText('overlays/dev'),
  'kustomize prod': () => kustomizationText('overlays/prod'),
  'kustomize external-etcd': () => kustomizationText('overlays/external-etcd'),
  'chart with its defaults': () => chartText(),
  'chart with values-dev.yaml': () => chartText({ values: ['values-dev.yaml'] }),
  'chart with values-prod.yaml': () => chartText({ values: ['values-prod.yaml'] }),
  'chart with values-external-etcd.yaml': () => chartText({ values: ['values-external-etcd.yaml'] }),
  'chart with everything on': () => chartText({ name: 'other', values: ['../../test/k8s/values/everything.yaml'] }),
  'chart with everything off': () => chartText({ values: ['../../test/k8s/values/nothing.yaml'] }),
});

function once(renderings: Record<string, () => Promise<string>>): Record<string, () => Promise<string>> {
  const made = new Map<string, Promise<string>>();
  return Object.fromEntries(
    Object.entries(renderings).map(([name, render]) => [
      name,
      () => {
        const text = made.get(name) ?? render();
        made.set(name, text);
        return text;
      },
    ]),
  );
}
