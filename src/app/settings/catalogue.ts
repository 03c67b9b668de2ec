import { STRATEGY_NAMES } from '../../balancer/strategies.js';
import { LOG_LEVELS } from '../../telemetry/logger.js';
import { DEFAULTS, hostId } from '../config.js';
import { addresses, choice, host, kinds, modules, name, onOff, port, reachableHost, text, wholeNumber } from './kind.js';
import { ROLES, type Role, SERVERS, type Setting, setting } from './setting.js';
import { STORE_SETTINGS } from './store-settings.js';
import { TELEMETRY_SETTINGS } from './telemetry-settings.js';

const PORTS: Readonly<Record<Role, number>> = {
  registry: DEFAULTS.registryPort,
  node: DEFAULTS.nodePort,
  gateway: DEFAULTS.gatewayPort,
  dev: DEFAULTS.gatewayPort,
};

const MEMBERS = ['node', 'gateway'] as const;
const ROUTERS = ['node', 'gateway', 'dev'] as const;

/**
 * Every setting of every role, by its key in a configuration file: flags, environment variables, the file, `troupe config explain`
 * and the reference all come from here.
 */
export const SETTINGS = {
  config: setting({
    flag: '--config <file>',
    env: ['TROUPE_CONFIG'],
    kind: text,
    roles: ROLES,
    notInFile: true,
    description: 'file of settings, YAML or JSON; flags and environment variables count before it',
  }),
  agents: setting({
    flag: '--agents <module>',
    repeatable: true,
    env: ['TROUPE_AGENTS'],
    kind: modules,
    roles: ['node', 'dev'],
    defaultText: 'node: none; dev: the example agents',
    description: 'module or package that exports agents; may be given several times',
  }),
  deploy: setting({
    flag: '--no-deploy',
    env: [],
    kind: onOff,
    roles: ['dev'],
    default: true,
    description: 'loads agents without deploying one of each kind',
  }),
  nodes: setting({
    flag: '--nodes <n>',
    env: [],
    kind: wholeNumber(1, 32),
    roles: ['dev'],
    default: 3,
    description: 'how many nodes, 1 to 32',
  }),
  registry: setting({
    flag: '--registry <host:port,...>',
    env: ['TROUPE_REGISTRY'],
    kind: addresses,
    roles: MEMBERS,
    default: [`${DEFAULTS.host}:${DEFAULTS.registryPort}`] as readonly string[],
    description: 'registry replicas',
  }),
  host: setting({
    flag: '--host <address>',
    env: ['TROUPE_HOST'],
    kind: host,
    roles: ROLES,
    default: DEFAULTS.host,
    description: 'address to listen on; 0.0.0.0 for all',
  }),
  port: setting({
    flag: '--port <port>',
    env: ['TROUPE_PORT'],
    kind: port,
    roles: ROLES,
    default: (role) => PORTS[role],
    description: 'port to listen on; 0 picks a free one',
    descriptions: { dev: 'port of the gateway; 0 picks a free one' },
  }),
  nodePort: setting({
    flag: '--node-port <port>',
    env: [],
    kind: port,
    roles: ['dev'],
    default: DEFAULTS.nodePort,
    description: 'port of the first node, the others follow; 0 picks free ones',
  }),
  registryPort: setting({
    flag: '--registry-port <port>',
    env: [],
    kind: port,
    roles: ['dev'],
    default: DEFAULTS.registryPort,
    description: 'port of the registry; 0 picks a free one',
  }),
  advertise: setting({
    flag: '--advertise <host>',
    env: ['TROUPE_ADVERTISE'],
    kind: reachableHost,
    roles: MEMBERS,
    defaultText: '--host, or the host name where that is 0.0.0.0 or ::',
    description: 'host by which others reach it',
  }),
  id: setting({
    flag: '--id <id>',
    env: ['TROUPE_ID'],
    kind: name,
    roles: SERVERS,
    default: hostId,
    defaultText: '<role>-<host name>',
    description: 'name of the process in the cluster',
  }),
  zone: setting({
    flag: '--zone <zone>',
    env: ['TROUPE_ZONE'],
    kind: name,
    roles: MEMBERS,
    default: DEFAULTS.zone,
    description: 'failure domain',
  }),
  weight: setting({
    flag: '--weight <n>',
    env: ['TROUPE_WEIGHT'],
    kind: wholeNumber(1, 1000),
    roles: ['node'],
    default: 1,
    description: 'its share of the agents, 1 to 1000',
  }),
  dataDir: setting({
    flag: '--data-dir <directory>',
    env: ['TROUPE_DATA_DIR'],
    kind: text,
    roles: ['node'],
    description: 'keeps the manifests of its agents here and starts them again after a restart',
  }),
  deployKinds: setting({
    flag: '--deploy-kinds <kind,...>',
    env: ['TROUPE_DEPLOY_KINDS'],
    kind: kinds,
    roles: ['node'],
    defaultText: 'none',
    description: 'has an agent of its own of each of these kinds whenever it runs, with the id <kind>-<node>',
  }),
  drainGrace: setting({
    flag: '--drain-grace <seconds>',
    env: ['TROUPE_DRAIN_GRACE'],
    kind: wholeNumber(0, 3600),
    roles: ['node'],
    default: DEFAULTS.drainGraceMs / 1000,
    description: 'how long running tasks may take when it is told to stop',
  }),
  leaseTtl: setting({
    flag: '--lease-ttl <seconds>',
    env: ['TROUPE_LEASE_TTL'],
    kind: wholeNumber(2, 600),
    roles: ROUTERS,
    default: DEFAULTS.leaseTtlSeconds,
    description: 'how long it counts as alive without a heartbeat, 2 to 600',
  }),
  strategy: setting({
    flag: '--strategy <name>',
    env: ['TROUPE_STRATEGY'],
    kind: choice(STRATEGY_NAMES),
    roles: ROUTERS,
    default: DEFAULTS.strategy,
    description: 'how agents are chosen for tasks that name no strategy',
  }),
  policy: setting({
    flag: '--policy <file>',
    env: ['TROUPE_POLICY'],
    kind: text,
    roles: ROUTERS,
    description: 'routing policy, JSON: rate limits, fallbacks, strategies by capability',
  }),
  preferZone: setting({
    flag: '--no-prefer-zone',
    env: ['TROUPE_NO_PREFER_ZONE'],
    kind: onOff,
    roles: MEMBERS,
    default: DEFAULTS.preferZone as boolean,
    description: 'agents of all zones are alike, instead of those of the own zone first',
  }),
  ...STORE_SETTINGS,
  ...TELEMETRY_SETTINGS,
  logLevel: setting({
    flag: '--log-level <level>',
    env: ['TROUPE_LOG_LEVEL'],
    kind: choice(LOG_LEVELS),
    roles: ROLES,
    default: (role) => (role === 'dev' ? 'warn' : DEFAULTS.logLevel),
    description: 'what is logged on standard error',
  }),
} as const;

export type SettingKey = keyof typeof SETTINGS;
type RolesOf<K extends SettingKey> = (typeof SETTINGS)[K]['roles'][number];
/** Of those that a role has. */
export type KeyOf<R extends Role> = { [K in SettingKey]: R extends RolesOf<K> ? K : never }[SettingKey];
type ValueOf<S> = S extends Setting<infer _T, infer V, infer _R> ? V : never;
/** What a role's settings come to. */
export type Values<R extends Role> = { readonly [K in KeyOf<R>]: ValueOf<(typeof SETTINGS)[K]> };

/** For lookup by a key that may be none. */
export const SETTING_OF: ReadonlyMap<string, Setting> = new Map(Object.entries(SETTINGS as Readonly<Record<string, Setting>>));

export function settingsOf(role: Role): readonly (readonly [key: string, setting: Setting])[] {
  return [...SETTING_OF].filter(([, { roles }]) => roles.includes(role));
}

export function defaultOf(setting: Setting, role: Role): unknown {
  return typeof setting.default === 'function' ? (setting.default as (role: Role) => unknown)(role) : setting.default;
}
