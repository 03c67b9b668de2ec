import { hostname } from 'node:os';
import type { AnyAgentDefinition } from '../agent/define-agent.js';
import type { ManifestInput } from '../agent/manifest.js';
import type { StrategyName } from '../balancer/strategies.js';
import type { OpsPort } from '../ops/ops-server.js';
import type { EtcdOptions } from '../store/etcd-connection.js';
import type { LogLevel } from '../telemetry/logger.js';
import type { RoutingPolicy } from '../upstream/routing-policy.js';

/** Every default of every role. */
export const DEFAULTS = {
  host: '127.0.0.1',
  registryPort: 8000,
  nodePort: 8765,
  gatewayPort: 8080,
  etcd: '127.0.0.1:2379',
  prefix: '/troupe',
  zone: 'default',
  leaseTtlSeconds: 10,
  logLevel: 'info',
  strategy: 'round_robin',
  preferZone: true,
  drainGraceMs: 20_000,
  opsPort: 9464,
  traceRatio: 0.01,
} as const;

/** How long a role may take to end after SIGTERM, unless it was given longer to drain. */
export const SHUTDOWN_MS = 25_000;

/** What is measured and where that goes. */
export interface TelemetryConfig {
  readonly metrics: boolean;
  /** Of a collector that takes OTLP over gRPC; nothing is sent when not given. */
  readonly otlpEndpoint?: string | undefined;
  /** The part of traces that begin in this process which is sampled, 0 to 1. */
  readonly traceRatio: number;
}

export interface ListenConfig {
  /** Address to listen on. */
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  readonly logLevel: LogLevel;
  /** The operations port: HTTP for /health, /ready and /metrics. */
  readonly ops: OpsPort;
  readonly telemetry: TelemetryConfig;
}

export interface RegistryConfig extends ListenConfig {
  readonly id: string;
  readonly store: { readonly kind: 'memory' } | { readonly kind: 'etcd'; readonly options: EtcdOptions };
  readonly prefix: string;
}

export interface MemberConfig extends ListenConfig {
  readonly id: string;
  /** `host:port` of registry replicas, at least one. */
  readonly registry: readonly string[];
  /** The host that others reach it by; the one it listens on when not given. */
  readonly advertiseHost?: string | undefined;
  readonly zone: string;
  readonly leaseTtlSeconds: number;
  /** For tasks that name none. */
  readonly strategy: StrategyName;
  /** Whether agents of the own zone come first. */
  readonly preferZone: boolean;
  /** Limits, fallbacks and strategies by capability; none when not given. */
  readonly policy?: RoutingPolicy | undefined;
}

export interface NodeConfig extends MemberConfig {
  readonly agents: readonly AnyAgentDefinition[];
  /** 1 to 1000: its share of the agents. */
  readonly weight: number;
  /** Where the node keeps the manifests of its agents; undefined: it starts empty. */
  readonly dataDir?: string | undefined;
  /** Agents that it has whenever it runs, beside those of `dataDir`, where nothing is kept of them. */
  readonly ownAgents?: readonly ManifestInput[] | undefined;
  readonly drainGraceMs: number;
}

export type GatewayConfig = MemberConfig;

/** The host name as an id, for those who do not name their processes: stable on a machine and in a pod. */
export function hostId(role: string): string {
  const name = hostname()
    .toLowerCase()
    .replace(/[^a-z0-9._-]/g, '-')
    .slice(0, 40);
  return `${role}-${name}`;
}
