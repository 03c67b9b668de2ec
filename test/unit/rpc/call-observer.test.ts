import { Metadata, status } from '@grpc/grpc-js';
import { expect, test } from '@jest/globals';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import { TroupeError } from '../../../src/core/errors.js';
import { GrpcCall } from '../../../src/rpc/call.js';
import { CallObserver } from '../../../src/rpc/call-observer.js';
import { Tracing } from '../../../src/telemetry/tracing.js';
import { FakeClock } from '../../support/fake-clock.js';
import { seededRandom, testSeed } from '../../support/seeded-random.js';

/** The span of a call of Tasks/Run that ended so. */
function spanOf(code: number, error?: unknown) {
  const exporter = new InMemorySpanExporter();
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const tracing = new Tracing(provider.getTracer('test'), 1, seededRandom(testSeed));
  const observer = new CallObserver('troupe.v1.Tasks/Run', false, { tracing }, new FakeClock());
  const call = new GrpcCall({
    metadata: new Metadata(),
    cancelled: false,
    getPath: () => '/troupe.v1.Tasks/Run',
    getPeer: () => '127.0.0.1:1',
    getDeadline: () => Number.POSITIVE_INFINITY,
    on: () => undefined,
  });
  observer.begin(call).end(code, error);
  const [span] = exporter.getFinishedSpans();
  return { name: span?.name, status: span?.status.code, attributes: span?.attributes };
}

const RPC = { 'rpc.system.name': 'grpc', 'rpc.method': 'troupe.v1.Tasks/Run' };

test('the span of a call says how it ended, also where all went well', () => {
  expect(spanOf(status.OK)).toEqual({
    name: 'troupe.v1.Tasks/Run',
    status: 0,
    attributes: { ...RPC, 'rpc.response.status_code': 'OK' },
  });
});

test('what is the fault of the server is an error', () => {
  expect(spanOf(status.UNAVAILABLE, new TroupeError('UNAVAILABLE', 'NODE_FENCED', 'later'))).toMatchObject({
    status: 2,
    attributes: {
      ...RPC,
      'rpc.response.status_code': 'UNAVAILABLE',
      'error.type': 'NODE_FENCED',
      'troupe.reason': 'NODE_FENCED',
    },
  });
});

test('what is a matter of the caller is none, and says what it was', () => {
  const { status: code, attributes } = spanOf(status.NOT_FOUND, new TroupeError('NOT_FOUND', 'NO_AGENT', 'nobody'));
  expect(code).toBe(0);
  expect(attributes).toEqual({ ...RPC, 'rpc.response.status_code': 'NOT_FOUND', 'troupe.reason': 'NO_AGENT' });
});

test('a caller that went away is told by the code alone', () => {
  expect(spanOf(status.CANCELLED)).toMatchObject({ status: 0, attributes: { 'rpc.response.status_code': 'CANCELLED' } });
});
