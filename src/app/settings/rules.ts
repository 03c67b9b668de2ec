import type { ResolvedSetting } from './resolution.js';
import { flagName } from './setting.js';

type Settings = readonly ResolvedSetting[];

/** What settings must hold for each other; nothing is wrong with the value of any of them. */
export function togetherProblems(settings: Settings): readonly string[] {
  return [...portProblems(settings), ...etcdProblems(settings)];
}

/** Ports that one role listens on; the nodes of `troupe dev` take one after the other. */
function portProblems(settings: Settings): readonly string[] {
  const valueIn = (key: string) => settings.find((each) => each.key === key)?.value;
  const taken = ['port', 'opsPort', 'registryPort', 'nodePort'].flatMap((key) => {
    const first = valueIn(key);
    if (typeof first !== 'number' || first === 0) return [];
    return [{ key, first, last: key === 'nodePort' ? first + Number(valueIn('nodes')) - 1 : first }];
  });
  return taken.flatMap((one, index) =>
    taken.slice(index + 1).flatMap((other) => {
      const shared = Math.max(one.first, other.first);
      if (shared > one.last || shared > other.last) return [];
      const names = `${named(settings, one.key)} and ${named(settings, other.key)}`;
      return [`${names} would both listen on ${shared}; give one of them another port`];
    }),
  );
}

function etcdProblems(settings: Settings): readonly string[] {
  const given = new Map(settings.filter(({ source }) => source.kind !== 'default').map((each) => [each.key, each]));
  const isGiven = (key: string) => given.has(key);
  const name = (key: string) => named(settings, key);
  const problems: string[] = [];
  const isRegistry = settings.some(({ key }) => key === 'store');
  if (!isRegistry) return problems;
  if (isGiven('etcdPassword') && isGiven('etcdPasswordFile'))
    problems.push(`${name('etcdPassword')} and ${name('etcdPasswordFile')} are both given; give one of them`);
  if (settings.find(({ key }) => key === 'store')?.value === 'memory') {
    // The rest of etcd's settings may lie ready in a file or an environment that several processes share.
    if (isGiven('etcd')) problems.push(`${name('etcd')} is given, but ${name('store')} is memory; add --store etcd`);
    return problems;
  }
  const hasPassword = isGiven('etcdPassword') || isGiven('etcdPasswordFile');
  if (isGiven('etcdUser') !== hasPassword)
    problems.push(
      isGiven('etcdUser')
        ? `${name('etcdUser')} needs --etcd-password or --etcd-password-file: they must be given together`
        : `${name(isGiven('etcdPassword') ? 'etcdPassword' : 'etcdPasswordFile')} needs --etcd-user: they must be given together`,
    );
  if (isGiven('etcdCert') !== isGiven('etcdKey'))
    problems.push(`${name('etcdCert')} and ${name('etcdKey')} must be given together`);
  else if (isGiven('etcdCert') && !isGiven('etcdCa')) problems.push(`${name('etcdCert')} needs --etcd-ca`);
  const endpoints = (given.get('etcd')?.value ?? []) as readonly string[];
  const schemes = new Set(endpoints.map((each) => /^https?(?=:\/\/)/.exec(each)?.[0] ?? (isGiven('etcdCa') ? 'https' : 'http')));
  if (schemes.size > 1) problems.push(`${name('etcd')} is "${endpoints}": its endpoints must all be https or all http`);
  else if (isGiven('etcdCa') && schemes.has('http'))
    problems.push(`${name('etcd')} is "${endpoints}", but ${name('etcdCa')} is given: its endpoints must be https`);
  return problems;
}

/** `--etcd-ca`, and where it was given otherwise, by what. */
function named(settings: Settings, key: string): string {
  const found = settings.find((each) => each.key === key);
  const flag = found === undefined ? key : flagName(found.setting);
  switch (found?.source.kind) {
    case 'env':
      return `${flag} (${found.source.name})`;
    case 'file':
      return `${flag} (${found.source.path}:${found.source.line})`;
    default:
      return flag;
  }
}
