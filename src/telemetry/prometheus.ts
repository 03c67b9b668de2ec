import { PrometheusSerializer } from '@opentelemetry/exporter-prometheus';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { prometheusName } from './instruments.js';
import { metricData } from './metric-data.js';
import type { Metrics } from './metrics.js';

/** The text format that Prometheus scrapes: https://prometheus.io/docs/instrumenting/exposition_formats/ */
export const PROMETHEUS_TEXT = 'text/plain; version=0.0.4; charset=utf-8';

const serializer = new PrometheusSerializer(undefined, false, undefined, true, true);

/** All that `metrics` holds, as Prometheus reads it. */
export function prometheusText(metrics: Metrics, nowMs: number): string {
  const period = { startedAtMs: metrics.startedAtMs, nowMs };
  // The serializer adds `_total` to counters itself where it is not there.
  const scope = metricData(metrics.collect(), period, { name: 'troupe' }, prometheusName);
  return `${serializer.serialize({ resource: NO_RESOURCE, scopeMetrics: [scope] })}\n`;
}

const NO_RESOURCE = resourceFromAttributes({});
