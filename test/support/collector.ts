import { join } from 'node:path';
import { type GrpcObject, loadPackageDefinition, Server, ServerCredentials, type ServiceClientConstructor } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { cleanUp } from './clean-up.js';
import { ROOT } from './processes.js';

/** A span as a collector gets it; ids in hex, '' for none. */
export interface ReceivedSpan {
  readonly service: string;
  readonly name: string;
  /** 2 server, 3 client, 5 consumer. */
  readonly kind: number;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly events: readonly string[];
  /** 2: an error. */
  readonly status: number;
}

/** A collector that takes OTLP over gRPC, and keeps what it gets. */
export interface Collector {
  readonly endpoint: string;
  readonly spans: readonly ReceivedSpan[];
  /** Names of the metrics. */
  readonly metrics: ReadonlySet<string>;
}

/** Starts one on a free port; it ends with the test or the file. */
export async function startCollector(): Promise<Collector> {
  const spans: ReceivedSpan[] = [];
  const metrics = new Set<string>();
  const server = new Server();
  server.addService(serviceOf('otlp.proto', 'trace', 'TraceService'), {
    Export: (call: { request: TraceRequest }, callback: (error: null, response: object) => void) => {
      for (const { resource, scopeSpans } of call.request.resourceSpans)
        for (const { spans: received } of scopeSpans)
          for (const span of received) spans.push(readSpan(textsOf(resource.attributes)['service.name'] ?? '', span));
      callback(null, {});
    },
  });
  server.addService(serviceOf('metrics.proto', 'metrics', 'MetricsService'), {
    Export: (call: { request: MetricsRequest }, callback: (error: null, response: object) => void) => {
      for (const { scopeMetrics } of call.request.resourceMetrics)
        for (const scope of scopeMetrics) for (const { name } of scope.metrics) metrics.add(name);
      callback(null, {});
    },
  });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  cleanUp(() => server.forceShutdown());
  return { endpoint: `http://127.0.0.1:${port}`, spans, metrics };
}

interface KeyValue {
  readonly key: string;
  readonly value: { readonly stringValue?: string; readonly intValue?: string; readonly boolValue?: boolean };
}

interface TraceRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] };
    readonly scopeSpans: readonly { readonly spans: readonly EncodedSpan[] }[];
  }[];
}

interface MetricsRequest {
  readonly resourceMetrics: readonly {
    readonly scopeMetrics: readonly { readonly metrics: readonly { readonly name: string }[] }[];
  }[];
}

interface EncodedSpan {
  readonly traceId: Buffer;
  readonly spanId: Buffer;
  readonly parentSpanId: Buffer;
  readonly name: string;
  readonly kind: number;
  readonly attributes: readonly KeyValue[];
  readonly events: readonly { readonly name: string }[];
  readonly status: { readonly code: number } | null;
}

function readSpan(
  service: string,
  { traceId, spanId, parentSpanId, name, kind, attributes, events, status }: EncodedSpan,
): ReceivedSpan {
  return {
    service,
    name,
    kind,
    traceId: traceId.toString('hex'),
    spanId: spanId.toString('hex'),
    parentSpanId: parentSpanId.toString('hex'),
    attributes: textsOf(attributes),
    events: events.map((event) => event.name),
    status: status?.code ?? 0,
  };
}

function textsOf(attributes: readonly KeyValue[]): Record<string, string> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [key, String(value.stringValue ?? value.intValue ?? value.boolValue ?? '')]),
  );
}

function serviceOf(file: string, signal: string, name: string) {
  const loaded = loadPackageDefinition(loadSync(join(ROOT, 'test', 'support', 'otlp', file), { defaults: true }));
  let at: GrpcObject = loaded;
  for (const part of ['opentelemetry', 'proto', 'collector', signal, 'v1']) at = at[part] as GrpcObject;
  return (at[name] as ServiceClientConstructor).service;
}
