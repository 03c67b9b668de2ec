import type { ListenConfig, MemberConfig } from '../config.js';
import { readPolicy } from '../settings/named-files.js';
import type { Settings } from '../settings/read-settings.js';

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

/** What those that route are told. */
export async function memberConfig(settings: Settings<'node'> | Settings<'gateway'>): Promise<MemberConfig> {
  const { id, registry, advertise, zone, leaseTtl, strategy, preferZone, policy } = settings.values;
  return {
    ...listenConfig(settings),
    id,
    registry,
    advertiseHost: advertise,
    zone,
    leaseTtlSeconds: leaseTtl,
    strategy,
    preferZone,
    policy: policy === undefined ? undefined : await readPolicy(policy),
  };
}
