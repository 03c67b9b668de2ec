import { readFile } from 'node:fs/promises';
import { InvalidArgumentError, Option } from 'commander';
import { STRATEGY_NAMES } from '../../balancer/strategies.js';
import { messageOf } from '../../core/errors.js';
import { ID_RULE, isId } from '../../core/ids.js';
import { LOG_LEVELS } from '../../telemetry/logger.js';
import { parseRoutingPolicy, type RoutingPolicy } from '../../upstream/routing-policy.js';
import { DEFAULTS } from '../config.js';
import { wrongUsage } from '../run-role.js';

/** Options that several roles have: each also an environment variable. */

export function portOption(fallback: number): Option {
  return new Option('--port <port>', 'port to listen on; 0 picks a free one')
    .env('TROUPE_PORT')
    .default(fallback)
    .argParser(parsePort);
}

export const hostOption = () =>
  new Option('--host <address>', 'address to listen on; 0.0.0.0 for all').env('TROUPE_HOST').default(DEFAULTS.host);

export const idOption = (role: string) =>
  new Option('--id <id>', `name of this ${role} in the cluster (default: ${role}-<host name>)`)
    .env('TROUPE_ID')
    .argParser(parseId);

export const logLevelOption = (fallback: string = DEFAULTS.logLevel) =>
  new Option('--log-level <level>', 'what is logged on standard error')
    .env('TROUPE_LOG_LEVEL')
    .choices(LOG_LEVELS)
    .default(fallback);

export const registryOption = () =>
  new Option('--registry <host:port,...>', 'registry replicas')
    .env('TROUPE_REGISTRY')
    .default([`${DEFAULTS.host}:${DEFAULTS.registryPort}`], `${DEFAULTS.host}:${DEFAULTS.registryPort}`)
    .argParser(parseAddresses);

export const advertiseOption = () =>
  new Option('--advertise <host>', 'host by which others reach it (default: --host, or the host name where that is 0.0.0.0)').env(
    'TROUPE_ADVERTISE',
  );

export const zoneOption = () =>
  new Option('--zone <zone>', 'failure domain').env('TROUPE_ZONE').default(DEFAULTS.zone).argParser(parseId);

export const leaseTtlOption = () =>
  new Option('--lease-ttl <seconds>', 'how long it counts as alive without a heartbeat, 2 to 600')
    .env('TROUPE_LEASE_TTL')
    .default(DEFAULTS.leaseTtlSeconds)
    .argParser(wholeNumber(2, 600));

export const strategyOption = () =>
  new Option('--strategy <name>', 'how agents are chosen for tasks that name no strategy')
    .env('TROUPE_STRATEGY')
    .choices(STRATEGY_NAMES)
    .default(DEFAULTS.strategy);

export const preferZoneOption = () =>
  new Option('--no-prefer-zone', 'agents of all zones are alike, instead of those of the own zone first').env(
    'TROUPE_NO_PREFER_ZONE',
  );

export const policyOption = () =>
  new Option('--policy <file>', 'routing policy, JSON: rate limits, fallbacks, strategies by capability').env('TROUPE_POLICY');

/** The policy in a file. @throws what ends the command with wrong usage, naming the file and every wrong field. */
export async function readPolicy(path: string | undefined): Promise<RoutingPolicy | undefined> {
  if (path === undefined) return undefined;
  try {
    return parseRoutingPolicy(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    throw wrongUsage(`--policy ${path}: ${messageOf(error)}`);
  }
}

export function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
    return value;
  };
}

export const parsePort = wholeNumber(0, 65_535);

/** The options of telemetry, which every role has. */
export function telemetryOptions(): Option[] {
  return [
    new Option(
      '--ops-port <port>',
      `port of /health, /ready and /metrics; 0 picks a free one, off has none (default: ${DEFAULTS.opsPort}, or a free one where that is in use)`,
    )
      .env('TROUPE_OPS_PORT')
      .argParser((text) => (text === 'off' ? text : parseOpsPort(text))),
    new Option('--no-metrics', 'measures nothing').env('TROUPE_NO_METRICS'),
    new Option('--otlp-endpoint <url>', 'collector that gets metrics and traces: OTLP over gRPC, such as http://127.0.0.1:4317')
      .env('TROUPE_OTLP_ENDPOINT')
      .argParser(parseUrl),
    new Option('--trace-ratio <ratio>', 'part of the traces that begin here which is sampled, 0 to 1')
      .env('TROUPE_TRACE_RATIO')
      .default(DEFAULTS.traceRatio)
      .argParser(parseRatio),
  ];
}

export interface TelemetryFlags {
  readonly opsPort?: number | 'off';
  readonly metrics: boolean;
  readonly otlpEndpoint?: string;
  readonly traceRatio: number;
}

export function telemetryConfig({ opsPort, metrics, otlpEndpoint, traceRatio }: TelemetryFlags) {
  return {
    ops: { port: opsPort ?? DEFAULTS.opsPort, explicit: opsPort !== undefined },
    telemetry: { metrics, otlpEndpoint, traceRatio },
  };
}

function parseOpsPort(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) throw new InvalidArgumentError('It must be a whole number from 0 to 65535, or off.');
  return port;
}

function parseUrl(text: string): string {
  if (!/^https?:\/\/[^\s/]+/.test(text)) throw new InvalidArgumentError('It must be a URL, such as http://127.0.0.1:4317.');
  return text;
}

function parseRatio(text: string): number {
  const ratio = Number(text);
  if (text.trim() === '' || !(ratio >= 0 && ratio <= 1)) throw new InvalidArgumentError('It must be a number from 0 to 1.');
  return ratio;
}

export function parseId(text: string): string {
  if (!isId(text)) throw new InvalidArgumentError(`It ${ID_RULE}.`);
  return text;
}

export function parseAddresses(text: string): string[] {
  const addresses = text.split(',').map((address) => address.trim());
  for (const address of addresses) {
    if (!/^(\[[0-9A-Fa-f:.]+\]|[^\s:/]+):\d{1,5}$/.test(address))
      throw new InvalidArgumentError(`"${address}" is not host:port, such as 127.0.0.1:8000.`);
  }
  return addresses;
}

/** Collects an option that may be given several times. */
export function collect(value: string, previous: readonly string[] | undefined): string[] {
  return [...(previous ?? []), value];
}
