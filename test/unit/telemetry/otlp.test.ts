import { afterEach, expect, it } from '@jest/globals';
import { type ProxyTracerProvider, trace } from '@opentelemetry/api';
import { NodeTracerProvider } from '@opentelemetry/sdk-trace-node';
import { systemRandom } from '../../../src/core/random.js';
import { silentLogger } from '../../../src/telemetry/logger.js';
import { openOtlp } from '../../../src/telemetry/otlp.js';
import { FakeClock } from '../../support/fake-clock.js';

afterEach(() => trace.disable());

const open = () =>
  openOtlp(
    { endpoint: 'http://127.0.0.1:1', traceRatio: 0, attributes: {} },
    { metrics: undefined, clock: new FakeClock(), random: systemRandom, logger: silentLogger },
  );
const delegate = () => (trace.getTracerProvider() as ProxyTracerProvider).getDelegate();

it('is the tracer provider of the process until it is closed', async () => {
  const otlp = open();
  expect(delegate()).toBeInstanceOf(NodeTracerProvider);
  await otlp.close();
  expect(delegate()).not.toBeInstanceOf(NodeTracerProvider);
});

it('leaves a tracer provider that the program has set up where it is', async () => {
  const own = new NodeTracerProvider();
  trace.setGlobalTracerProvider(own);
  await open().close();
  expect(delegate()).toBe(own);
});
