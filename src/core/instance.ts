import type { InstanceId } from './ids.js';

/** Something registered under a lease. The registry sets the fields from `registeredAtMs` on. */
export interface Instance {
  readonly id: InstanceId;
  readonly service: string;
  readonly endpoint: Endpoint;
  readonly status: InstanceStatus;
  /** 1 to 1000. */
  readonly weight: number;
  readonly zone: string;
  readonly capabilities: readonly string[];
  readonly metadata: ReadonlyMap<string, string>;
  /** The node that hosts it, or the process whose interest it is; '' for all others. */
  readonly nodeId: string;
  readonly registeredAtMs: number;
  /** Which life of the id this is: the store revision of its registration, so later lives have larger ones. */
  readonly incarnation: bigint;
  readonly revision: bigint;
  /** What the registry found when it last probed it; absent while nothing was found wrong. */
  readonly probe?: ProbeVerdict | undefined;
}

/** What the active health checks of the leading registry found. */
export interface ProbeVerdict {
  readonly failing: boolean;
  readonly reason: string;
  /** Milliseconds since the epoch. */
  readonly sinceMs: number;
  readonly registryId: string;
}

export interface Endpoint {
  readonly host: string;
  readonly port: number;
}

export interface InstanceKey {
  readonly service: string;
  readonly id: string;
}

export const NODE_SERVICE = 'node';
export const AGENT_SERVICE = 'agent';
export const GATEWAY_SERVICE = 'gateway';
/** A process's wish for what is broadcast to some topics: one instance per process and pattern, under the lease of the process, which `nodeId` names. */
export const INTEREST_SERVICE = 'interest';
/** In the metadata of an instance of interest: the pattern of topics. */
export const INTEREST_PATTERN = 'pattern';

export type InstanceStatus = 'starting' | 'up' | 'degraded' | 'stopping' | 'down';

const TRANSITIONS: Readonly<Record<InstanceStatus, readonly InstanceStatus[]>> = {
  starting: ['up', 'stopping', 'down'],
  up: ['degraded', 'stopping', 'down'],
  degraded: ['up', 'stopping', 'down'],
  stopping: ['down'],
  down: [],
};

/** Whether an instance may go from one status to another; staying is always allowed. */
export function mayBecome(from: InstanceStatus, to: InstanceStatus): boolean {
  return from === to || TRANSITIONS[from].includes(to);
}

/** The statuses that may follow `from`. */
export function nextStatuses(from: InstanceStatus): readonly InstanceStatus[] {
  return TRANSITIONS[from];
}

const STATUS_FACTORS: Readonly<Record<InstanceStatus, number>> = { up: 1, starting: 0.7, degraded: 0.5, stopping: 0.3, down: 0 };
const FRESH_FOR_MS = 60_000;

/** How good an instance is to use: status factor × weight / 10 × freshness, which falls from 1 at once to 0 at 60 s. */
export function instanceScore(status: InstanceStatus, weight: number, heartbeatAgeMs: number): number {
  const freshness = Math.min(1, Math.max(0, 1 - heartbeatAgeMs / FRESH_FOR_MS));
  return (STATUS_FACTORS[status] * weight * freshness) / 10;
}

/** Whether it is there to stay: it does not end, and was not found failing. */
export function stays({ status, probe }: Instance): boolean {
  return status !== 'stopping' && status !== 'down' && probe?.failing !== true;
}

/** One string for a key, in the order by service, then id. */
export function instanceKeyText(key: InstanceKey): string {
  return `${key.service}/${key.id}`;
}

export function endpointText(endpoint: Endpoint): string {
  return endpoint.host.includes(':') ? `[${endpoint.host}]:${endpoint.port}` : `${endpoint.host}:${endpoint.port}`;
}
