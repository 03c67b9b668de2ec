import { type HrTime, ValueType } from '@opentelemetry/api';
import type { InstrumentationScope } from '@opentelemetry/core';
import { AggregationTemporality, DataPointType, type MetricData, type ScopeMetrics } from '@opentelemetry/sdk-metrics';
import type { Instrument } from './instruments.js';
import type { Family, Spread } from './metrics.js';

/** When what is told was measured, milliseconds since the epoch. */
export interface Period {
  readonly startedAtMs: number;
  readonly nowMs: number;
}

/** Measurements in OpenTelemetry's form, cumulative since the start of the process. `nameOf`: as the reader wants instruments named. */
export function metricData(
  families: readonly Family[],
  period: Period,
  scope: InstrumentationScope,
  nameOf: (instrument: Instrument) => string,
): ScopeMetrics {
  const times = { startTime: hrTime(period.startedAtMs), endTime: hrTime(period.nowMs) };
  return { scope, metrics: families.filter(({ lines }) => lines.length > 0).map((family) => dataOf(family, times, nameOf)) };
}

function dataOf(
  { instrument, lines }: Family,
  times: { readonly startTime: HrTime; readonly endTime: HrTime },
  nameOf: (instrument: Instrument) => string,
): MetricData {
  const { kind, unit, description, labels: names, buckets = [] } = instrument;
  const points = lines.map(({ labels, value }) => ({
    ...times,
    attributes: Object.fromEntries(names.map((name, index) => [name, labels[index] ?? ''])),
    value,
  }));
  const base = {
    descriptor: { name: nameOf(instrument), description, unit, valueType: ValueType.DOUBLE },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
  };
  switch (kind) {
    case 'counter':
      return { ...base, dataPointType: DataPointType.SUM, isMonotonic: true, dataPoints: points as NumberPoint[] };
    case 'gauge':
      return { ...base, dataPointType: DataPointType.GAUGE, dataPoints: points as NumberPoint[] };
    case 'histogram':
      return {
        ...base,
        dataPointType: DataPointType.HISTOGRAM,
        dataPoints: points.map((point) => {
          const { count, sum, counts } = point.value as Spread;
          return { ...point, value: { count, sum, buckets: { boundaries: [...buckets], counts: [...counts] } } };
        }),
      };
  }
}

type NumberPoint = {
  readonly startTime: HrTime;
  readonly endTime: HrTime;
  readonly attributes: Record<string, string>;
  readonly value: number;
};

function hrTime(ms: number): HrTime {
  return [Math.floor(ms / 1_000), Math.round((ms % 1_000) * 1e6)];
}
