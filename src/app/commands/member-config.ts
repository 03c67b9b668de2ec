import { readFile } from 'node:fs/promises';
import { messageOf } from '../../core/errors.js';
import { parseRoutingPolicy, type RoutingPolicy } from '../../upstream/routing-policy.js';
import type { ListenConfig, MemberConfig } from '../config.js';
import { wrongUsage } from '../run-role.js';
import type { Settings } from '../settings/read-settings.js';
import { sourceName } from '../settings/resolution.js';
import { settingOf } from '../settings/resolve.js';

/** What every role is told, made of its settings. */
export function listenConfig({
  values,
  resolution,
}: Settings<'registry'> | Settings<'node'> | Settings<'gateway'>): ListenConfig {
  const { host, port, logLevel, opsPort, metrics, otlpEndpoint, traceRatio } = values;
  return {
    host,
    port,
    logLevel,
    ops: {
      port: opsPort,
      explicit: resolution.settings.some(({ key, source }) => key === 'opsPort' && source.kind !== 'default'),
    },
    telemetry: { metrics, otlpEndpoint, traceRatio },
  };
}

/** What those that route are told. @throws what ends the command with wrong usage. */
export async function memberConfig(settings: Settings<'node'> | Settings<'gateway'>): Promise<MemberConfig> {
  const { id, registry, advertise, zone, leaseTtl, strategy, preferZone } = settings.values;
  return {
    ...listenConfig(settings),
    id,
    registry,
    advertiseHost: advertise,
    zone,
    leaseTtlSeconds: leaseTtl,
    strategy,
    preferZone,
    policy: await readPolicy(settings),
  };
}

/** The policy in a file. @throws what ends the command with wrong usage, naming the file and every wrong field. */
export async function readPolicy(
  settings: Settings<'node'> | Settings<'gateway'> | Settings<'dev'>,
): Promise<RoutingPolicy | undefined> {
  const { policy: path } = settings.values;
  if (path === undefined) return undefined;
  try {
    return parseRoutingPolicy(JSON.parse(await readFile(path, 'utf8')));
  } catch (error) {
    throw wrongUsage(`${sourceName(settingOf(settings.resolution, 'policy').source)} ${path}: ${messageOf(error)}`);
  }
}
