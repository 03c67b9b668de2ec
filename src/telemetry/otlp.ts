import { credentials } from '@grpc/grpc-js';
import { type Attributes, type Context, ProxyTracerProvider, type TracerProvider, trace } from '@opentelemetry/api';
import { type ExportResult, ExportResultCode } from '@opentelemetry/core';
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-grpc';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-grpc';
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, type MetricProducer, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import {
  BatchSpanProcessor,
  NodeTracerProvider,
  ParentBasedSampler,
  type Sampler,
  SamplingDecision,
  TraceIdRatioBasedSampler,
} from '@opentelemetry/sdk-trace-node';
import type { Clock } from '../core/clock.js';
import { messageOf } from '../core/errors.js';
import type { Random } from '../core/random.js';
import type { Logger } from './logger.js';
import { metricData } from './metric-data.js';
import type { Metrics } from './metrics.js';
import { CHOSEN, Tracing } from './tracing.js';

export interface OtlpOptions {
  /** Where a collector takes OTLP over gRPC: `http://host:4317`, or `https://`. */
  readonly endpoint: string;
  /** The part of traces that begin here which is sampled, 0 to 1. */
  readonly traceRatio: number;
  /** What tells this process from others. */
  readonly attributes: Attributes;
}

export interface OtlpDeps {
  readonly metrics: Metrics | undefined;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Telemetry on its way to a collector. */
export interface Otlp {
  readonly tracing: Tracing;
  /** Sends what is left, for `FLUSH_MS` at most. */
  close(): Promise<void>;
}

/**
 * Whether a span can be the active one of what runs below it. Before Node.js 24 (AsyncContextFrame) that takes a hook on each promise of the process
 * from the first such span on, sampled or not: there a span is passed on by hand.
 */
const HAS_CHEAP_CONTEXT = Number(process.versions.node.split('.', 1)[0]) >= 24;
const METRICS_EVERY_MS = 15_000;
/** A collector that does not answer is given up for this batch; spans beyond the queue are dropped. */
const EXPORT_TIMEOUT_MS = 5_000;
const MAX_QUEUED_SPANS = 2_048;
const FLUSH_MS = 2_000;
const COMPLAIN_EVERY_MS = 60_000;

/**
 * Sends metrics and spans to a collector. Nobody ever waits for it: what it does not take is dropped, within fixed bounds, and that is logged
 * once a minute. Spans of libraries that an agent uses go with ours: this makes the process' global tracer.
 */
export function openOtlp({ endpoint, traceRatio, attributes }: OtlpOptions, deps: OtlpDeps): Otlp {
  const { metrics, clock, random, logger } = deps;
  const resource = defaultResource()
    .merge(resourceFromAttributes(attributes))
    .merge(detectResources({ detectors: [envDetector] }));
  const complain = complaints(logger, endpoint, clock);
  const connection = { ...addressOf(endpoint), timeoutMillis: EXPORT_TIMEOUT_MS };
  const spans = watched(new OTLPTraceExporter(connection), complain);
  const provider = new NodeTracerProvider({
    resource,
    sampler: new ParentBasedSampler({ root: new ChosenOrByRatio(traceRatio) }),
    spanProcessors: [new BatchSpanProcessor(spans, { maxQueueSize: MAX_QUEUED_SPANS, exportTimeoutMillis: EXPORT_TIMEOUT_MS })],
  });
  provider.register(HAS_CHEAP_CONTEXT ? {} : { contextManager: null });
  const meters = metrics && openMeters(metrics, new OTLPMetricExporter(connection));

  function openMeters(source: Metrics, exporter: OTLPMetricExporter): MeterProvider {
    const producer: MetricProducer = {
      async collect() {
        const period = { startedAtMs: source.startedAtMs, nowMs: clock.now() };
        const scope = metricData(source.collect(), period, { name: 'troupe' }, ({ name }) => name);
        return { resourceMetrics: { resource, scopeMetrics: [scope] }, errors: [] };
      },
    };
    const reader = new PeriodicExportingMetricReader({
      exporter: watched(exporter, complain),
      exportIntervalMillis: METRICS_EVERY_MS,
      exportTimeoutMillis: EXPORT_TIMEOUT_MS,
      metricProducers: [producer],
    });
    return new MeterProvider({ resource, readers: [reader] });
  }

  return {
    tracing: new Tracing(provider.getTracer('troupe'), traceRatio, random),
    async close() {
      const ended = Promise.allSettled([provider.shutdown(), meters?.shutdown()]);
      await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, FLUSH_MS).unref())]);
      // A program that embeds a node may have set up one of its own, which stays.
      if (isGlobal(provider)) trace.disable();
    },
  };
}

/**
 * Exporters read an endpoint as a URL, which drops the port 80 of `http:`; gRPC takes 443 where there is none. A scheme without a port of its own keeps
 * it, and needs to be told that there is no TLS.
 */
function addressOf(endpoint: string) {
  return /^http:.*:0*80$/.test(endpoint)
    ? { url: endpoint.replace('http:', 'grpc:'), credentials: credentials.createInsecure() }
    : { url: endpoint };
}

function isGlobal(provider: TracerProvider): boolean {
  const global = trace.getTracerProvider();
  return (global instanceof ProxyTracerProvider ? global.getDelegate() : global) === provider;
}

/** Traces that `Tracing` begins were chosen by it; those that an agent's libraries begin are chosen by the same ratio. */
class ChosenOrByRatio implements Sampler {
  private readonly byRatio: TraceIdRatioBasedSampler;

  constructor(ratio: number) {
    this.byRatio = new TraceIdRatioBasedSampler(ratio);
  }

  shouldSample(parent: Context, traceId: string) {
    if (parent.getValue(CHOSEN) === true) return { decision: SamplingDecision.RECORD_AND_SAMPLED };
    return this.byRatio.shouldSample(parent, traceId);
  }

  toString(): string {
    return `ChosenOrByRatio{${this.byRatio.toString()}}`;
  }
}

interface Exporter<T> {
  export(items: T, callback: (result: ExportResult) => void): void;
}

/** Has `complain` hear of each failure to export. */
function watched<T, E extends Exporter<T>>(exporter: E & Exporter<T>, complain: (error: unknown) => void): E {
  const send = exporter.export.bind(exporter);
  exporter.export = (items, callback) =>
    send(items, (result) => {
      if (result.code !== ExportResultCode.SUCCESS) complain(result.error);
      callback(result);
    });
  return exporter;
}

function complaints(logger: Logger, endpoint: string, clock: Clock): (error: unknown) => void {
  let quietUntilMs = 0;
  return (error) => {
    if (clock.monotonicMs() < quietUntilMs) return;
    quietUntilMs = clock.monotonicMs() + COMPLAIN_EVERY_MS;
    logger.warn('the collector does not take telemetry; it is dropped', { endpoint, reason: messageOf(error) });
  };
}
