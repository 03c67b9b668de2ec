import type { AnyAgentDefinition } from '../agent/define-agent.js';
import { type ManifestInput, sizeViolations } from '../agent/manifest.js';
import type { StrategyName } from '../balancer/strategies.js';
import { invalidFields } from '../core/errors.js';
import { endpointText } from '../core/instance.js';
import type { LogLevel } from '../telemetry/logger.js';
import { parseRoutingPolicy, type RoutingPolicyInput } from '../upstream/routing-policy.js';
import { DEFAULTS, hostId } from './config.js';
import { startNode as startNodeRole } from './roles/node.js';
import { addresses, collectorUrl, port, reachableHost } from './settings/kind.js';

/** What `startNode` can be told; what is not given is as with `troupe node`. */
export interface StartNodeOptions {
  /** The kinds of agent that the node can activate: what `defineAgent` gave. */
  readonly agents: readonly AnyAgentDefinition[];
  /** Agents that are activated as soon as the node is ready. */
  readonly deploy?: readonly ManifestInput[];
  /** Limits, fallbacks and strategies by capability, as in a policy file. */
  readonly policy?: RoutingPolicyInput;
  /** `host:port` of registry replicas; 127.0.0.1:8000 when not given. */
  readonly registry?: readonly string[];
  /** Its name in the cluster; from the host's name when not given. */
  readonly id?: string;
  /** Address to listen on; 127.0.0.1 when not given. */
  readonly host?: string;
  /** 0, or not given: a free one. */
  readonly port?: number;
  /** The host that others reach it by; the one it listens on when not given. */
  readonly advertiseHost?: string | undefined;
  readonly zone?: string;
  /** How long the cluster waits for a sign of life; 10 when not given. */
  readonly leaseTtlSeconds?: number;
  /** For tasks that name none; `round_robin` when not given. */
  readonly strategy?: StrategyName;
  /** Whether agents of the own zone come first, as they do when not given. */
  readonly preferZone?: boolean;
  /** 1 to 1000: its share of the agents; 1 when not given. */
  readonly weight?: number;
  /** Where the node keeps the manifests of its agents; it starts empty when not given. */
  readonly dataDir?: string | undefined;
  /** How long what runs may go on after `stop`; 20,000 when not given. */
  readonly drainGraceMs?: number;
  /** `warn` when not given. */
  readonly logLevel?: LogLevel;
  /** Port of /health, /ready and /metrics on `host`; 0: a free one. None when not given. */
  readonly opsPort?: number;
  /** Collector that gets metrics and traces, OTLP over gRPC: `http://host:4317`. Its spans are then the program's, unless that has OpenTelemetry set up already. */
  readonly otlpEndpoint?: string;
  /** The part of traces that begin at this node which is sampled, 0 to 1; 0.01 when not given. */
  readonly traceRatio?: number;
}

/** A node in this process. */
export interface StartedNode {
  readonly id: string;
  /** Where it serves gRPC, `host:port`. */
  readonly address: string;
  /** Of its operations port, `host:port`; undefined where it has none. */
  readonly opsAddress: string | undefined;
  /** Drains, deregisters and ends the node. */
  stop(): Promise<void>;
}

/**
 * Starts a node in this process, as `troupe node` does in one of its own, and resolves when it is registered. Logs warnings and
 * errors on standard error unless `logLevel` says otherwise.
 *
 * @example
 * const node = await startNode({ agents: [greeter], deploy: [{ id: 'greeter-1', kind: 'greeter' }] });
 *
 * @throws TroupeError UNAVAILABLE / PORT_IN_USE, INVALID_ARGUMENT, or as Node.DeployAgent says. Without a registry it waits for one.
 */
export async function startNode(given: StartNodeOptions): Promise<StartedNode> {
  const { deploy = [], policy, opsPort, otlpEndpoint, traceRatio = DEFAULTS.traceRatio, ...options } = given;
  const { registry, advertiseHost } = options;
  const wrong = deploy.flatMap((manifest, index) => sizeViolations(`deploy[${index}].`, manifest));
  if (!(typeof traceRatio === 'number' && traceRatio >= 0 && traceRatio <= 1))
    wrong.push({ field: 'traceRatio', description: 'must be a number from 0 to 1' });
  if (registry !== undefined && !addresses.read(registry).ok) wrong.push({ field: 'registry', description: addresses.allowed });
  if (advertiseHost !== undefined && !reachableHost.read(advertiseHost).ok)
    wrong.push({ field: 'advertiseHost', description: reachableHost.allowed });
  if (opsPort !== undefined && !(Number.isInteger(opsPort) && opsPort >= 0 && opsPort <= 65_535))
    wrong.push({ field: 'opsPort', description: port.allowed });
  if (otlpEndpoint !== undefined && !(typeof otlpEndpoint === 'string' && collectorUrl.parse(otlpEndpoint).ok))
    wrong.push({ field: 'otlpEndpoint', description: collectorUrl.allowed });
  if (wrong.length > 0) throw invalidFields(wrong);
  const role = await startNodeRole({
    id: hostId('node'),
    host: DEFAULTS.host,
    port: 0,
    logLevel: 'warn',
    registry: [`${DEFAULTS.host}:${DEFAULTS.registryPort}`],
    zone: DEFAULTS.zone,
    leaseTtlSeconds: DEFAULTS.leaseTtlSeconds,
    strategy: DEFAULTS.strategy,
    preferZone: DEFAULTS.preferZone,
    weight: 1,
    drainGraceMs: DEFAULTS.drainGraceMs,
    ops: { port: opsPort ?? 'off', explicit: true },
    telemetry: { metrics: true, otlpEndpoint, traceRatio },
    ...options,
    policy: policy === undefined ? undefined : parseRoutingPolicy(policy),
  });
  try {
    const { id, ops } = await Promise.race([role.ready, role.done.then(() => Promise.reject(new Error('the node ended')))]);
    for (const manifest of deploy) await role.deploy(manifest);
    return { id, address: endpointText(role.endpoint), opsAddress: ops, stop: () => role.stop() };
  } catch (error) {
    await role.stop();
    throw error;
  }
}
