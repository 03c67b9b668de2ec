import { systemClock } from '../core/clock.js';
import { systemRandom } from '../core/random.js';
import { OpsServer } from '../ops/ops-server.js';
import { Health } from '../rpc/health-service.js';
import { createLogger, type Logger } from '../telemetry/logger.js';
import { Metrics } from '../telemetry/metrics.js';
import type { Otlp } from '../telemetry/otlp.js';
import { ProcessLoadSampler } from '../telemetry/process-load.js';
import { observeProcess } from '../telemetry/process-metrics.js';
import type { Tracing } from '../telemetry/tracing.js';
import type { ListenConfig } from './config.js';
import { VERSION } from './version.js';

/** How a role is operated: its logs, its health, what it measures, and the port where all that can be asked for. */
export interface Operations {
  readonly logger: Logger;
  readonly health: Health;
  readonly load: ProcessLoadSampler;
  /** Undefined: nothing is measured. */
  readonly metrics: Metrics | undefined;
  /** Undefined: no spans are made. */
  readonly tracing: Tracing | undefined;
  /** Of the operations port, `host:port`; undefined where it is off. */
  readonly address: string | undefined;
  close(): Promise<void>;
}

/** @throws UNAVAILABLE / PORT_IN_USE, INVALID_ARGUMENT / CANNOT_LISTEN: of the operations port. */
export async function openOperations(
  role: 'registry' | 'node' | 'gateway',
  { id, logLevel, host, ops, telemetry }: ListenConfig & { readonly id: string },
): Promise<Operations> {
  const logger = createLogger({ level: logLevel, fields: { role, id } });
  const health = new Health();
  const load = new ProcessLoadSampler(systemClock);
  const isRead = ops.port !== 'off' || telemetry.otlpEndpoint !== undefined;
  const metrics = telemetry.metrics && isRead ? new Metrics(systemClock) : undefined;
  const server = new OpsServer(
    {
      identity: { role, id, version: VERSION },
      isReady: () => health.isServing,
      metrics: metrics && (() => exposition(metrics)),
    },
    logger,
  );
  const address = await server.listen(host, ops);
  load.start();
  if (metrics !== undefined) observeProcess(metrics, { role, version: VERSION, load });
  const otlp = await openExport(role, id).catch(async (error: unknown) => {
    load.stop();
    await server.close();
    throw error;
  });

  return {
    logger,
    health,
    load,
    metrics,
    tracing: otlp?.tracing,
    address,
    async close() {
      load.stop();
      await Promise.all([server.close(), otlp?.close()]);
    },
  };

  /** Loaded only where it is used: it is a large part of a start. */
  async function openExport(service: string, instance: string): Promise<Otlp | undefined> {
    if (telemetry.otlpEndpoint === undefined) return undefined;
    const { openOtlp } = await import('../telemetry/otlp.js');
    const attributes = { 'service.name': `troupe-${service}`, 'service.instance.id': instance, 'service.version': VERSION };
    return openOtlp(
      { endpoint: telemetry.otlpEndpoint, traceRatio: telemetry.traceRatio, attributes },
      { metrics, clock: systemClock, random: systemRandom, logger },
    );
  }
}

/** The first scrape loads what writes it. */
async function exposition(metrics: Metrics) {
  const { prometheusText, PROMETHEUS_TEXT } = await import('../telemetry/prometheus.js');
  return { type: PROMETHEUS_TEXT, text: prometheusText(metrics, systemClock.now()) };
}
