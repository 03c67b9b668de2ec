import type { Manifest } from './manifests.js';

/** Where a pod is, as far as network policies look at it. */
export interface Place {
  readonly labels: Readonly<Record<string, string>>;
  readonly namespace: string;
}

/** Whether a connection is made, by the rules of NetworkPolicy: what selects a pod closes it, and each rule opens it a little. */
export function passes(manifests: readonly Manifest[], from: Place, to: Place, port: number): boolean {
  const policies = manifests.filter(({ kind }) => kind === 'NetworkPolicy');
  const of = (place: Place, type: 'Ingress' | 'Egress') =>
    policies.filter(
      ({ spec }) => place.namespace === 'troupe' && spec.policyTypes.includes(type) && matches(spec.podSelector, place.labels),
    );
  const out = of(from, 'Egress');
  const into = of(to, 'Ingress');
  const allows = (rules: readonly Rule[] | undefined, peers: 'from' | 'to', other: Place) =>
    (rules ?? []).some((rule) => {
      const ports = rule.ports;
      const who = rule[peers];
      return (
        (ports === undefined || ports.some((each) => each.port === port)) &&
        (who === undefined || who.some((peer) => includes(peer, other)))
      );
    });
  return (
    (out.length === 0 || out.some(({ spec }) => allows(spec.egress, 'to', to))) &&
    (into.length === 0 || into.some(({ spec }) => allows(spec.ingress, 'from', from)))
  );
}

interface Rule {
  readonly ports?: readonly { readonly port: number }[];
  readonly from?: readonly Peer[];
  readonly to?: readonly Peer[];
}

interface Peer {
  readonly podSelector?: Selector;
  readonly namespaceSelector?: Selector;
}

export interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly { readonly key: string; readonly operator: string; readonly values: readonly string[] }[];
}

function includes({ podSelector, namespaceSelector, ...others }: Peer, { labels, namespace }: Place): boolean {
  if (Object.keys(others).length > 0) return false;
  const here =
    namespaceSelector === undefined
      ? namespace === 'troupe'
      : matches(namespaceSelector, { 'kubernetes.io/metadata.name': namespace });
  return here && (podSelector === undefined || matches(podSelector, labels));
}

/** Whether a selector takes what has these labels. */
export function matches(
  { matchLabels = {}, matchExpressions = [] }: Selector,
  labels: Readonly<Record<string, string>>,
): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values }) => {
      if (operator !== 'In') throw new Error(`no test for the operator ${operator}`);
      return values.includes(labels[key] ?? '');
    })
  );
}
