import type { ResolvedSetting } from './resolution.js';
import { flagName } from './setting.js';

/** What settings must hold for each other; nothing is wrong with the value of any of them. */
export function togetherProblems(settings: readonly ResolvedSetting[]): readonly string[] {
  const given = new Map(settings.filter(({ source }) => source.kind !== 'default').map((each) => [each.key, each]));
  const isGiven = (key: string) => given.has(key);
  /** `--etcd-ca`, and where it was given otherwise, by what. */
  const named = (key: string): string => {
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
  };
  const problems: string[] = [];
  const isRegistry = settings.some(({ key }) => key === 'store');
  if (!isRegistry) return problems;
  if (isGiven('etcdPassword') && isGiven('etcdPasswordFile'))
    problems.push(`${named('etcdPassword')} and ${named('etcdPasswordFile')} are both given; give one of them`);
  if (settings.find(({ key }) => key === 'store')?.value === 'memory') {
    // The rest of etcd's settings may lie ready in a file or an environment that several processes share.
    if (isGiven('etcd')) problems.push(`${named('etcd')} is given, but ${named('store')} is memory; add --store etcd`);
    return problems;
  }
  const hasPassword = isGiven('etcdPassword') || isGiven('etcdPasswordFile');
  if (isGiven('etcdUser') !== hasPassword)
    problems.push(
      isGiven('etcdUser')
        ? `${named('etcdUser')} needs --etcd-password or --etcd-password-file: they must be given together`
        : `${named(isGiven('etcdPassword') ? 'etcdPassword' : 'etcdPasswordFile')} needs --etcd-user: they must be given together`,
    );
  if (isGiven('etcdCert') !== isGiven('etcdKey'))
    problems.push(`${named('etcdCert')} and ${named('etcdKey')} must be given together`);
  else if (isGiven('etcdCert') && !isGiven('etcdCa')) problems.push(`${named('etcdCert')} needs --etcd-ca`);
  const endpoints = (given.get('etcd')?.value ?? []) as readonly string[];
  const schemes = new Set(endpoints.map((each) => /^https?(?=:\/\/)/.exec(each)?.[0] ?? (isGiven('etcdCa') ? 'https' : 'http')));
  if (schemes.size > 1) problems.push(`${named('etcd')} is "${endpoints}": its endpoints must all be https or all http`);
  else if (isGiven('etcdCa') && schemes.has('http'))
    problems.push(`${named('etcd')} is "${endpoints}", but ${named('etcdCa')} is given: its endpoints must be https`);
  return problems;
}
