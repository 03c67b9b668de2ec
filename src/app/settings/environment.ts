import { SETTING_OF } from './catalogue.js';
import { nearest } from './nearest.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Of the command, not of roles. */
const OTHERS = ['TROUPE_ADDRESS', 'TROUPE_DEBUG'];
const KNOWN = new Set([...[...SETTING_OF.values()].flatMap(({ env }) => env), ...OTHERS]);

/**
 * Kubernetes tells every pod of the Services around it, by variables that begin with the Service's name: one named `troupe` gives
 * TROUPE_PORT=tcp://10.0.0.1:8080, which is no port that anybody asked this process to listen on; likewise `troupe-ops`.
 * https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
 */
export function isServiceLink(name: string, value: string): boolean {
  return name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//i.test(value);
}

/** What is odd about the environment, though nothing fails for it. */
export function environmentWarnings(env: Environment): readonly string[] {
  return Object.entries(env).flatMap(([name, value]) => {
    if (!name.startsWith('TROUPE_') || value === undefined || value === '') return [];
    if (KNOWN.has(name)) return isServiceLink(name, value) ? [ignored(name, value)] : [];
    if (isLinkName(name) || isServiceLink(name, value)) return [];
    // One that comes near none is somebody else's: agents, tests and scripts have theirs.
    const meant = meantBy(name);
    return meant === undefined ? [] : [`${name} is not known; did you mean ${meant}?`];
  });
}

function ignored(name: string, value: string): string {
  const service = name
    .replace(/_PORT$/, '')
    .toLowerCase()
    .replaceAll('_', '-');
  return `${name} is ${JSON.stringify(value)}, as Kubernetes tells of a Service named ${service}; it is ignored (\`enableServiceLinks: false\` in the pod keeps it away)`;
}

/** The other variables of such a Service. */
function isLinkName(name: string): boolean {
  return /_SERVICE_(HOST|PORT(_\w+)?)$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name);
}

function meantBy(name: string): string | undefined {
  const short = (variable: string) => variable.replace(/^TROUPE_(NO_)?/, '');
  const names = [...KNOWN].filter((known) => known.startsWith('TROUPE_'));
  const meant = nearest(short(name), names.map(short));
  return names.find((known) => short(known) === meant);
}
