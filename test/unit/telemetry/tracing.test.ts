import { describe, expect, it } from '@jest/globals';
import { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-node';
import { TroupeError } from '../../../src/core/errors.js';
import { parseTraceparent } from '../../../src/telemetry/trace-context.js';
import type { TraceHeaders } from '../../../src/telemetry/trace-headers.js';
import { type HopOptions, SpanKind, silentSpan, Tracing, traceFields } from '../../../src/telemetry/tracing.js';
import { fixedRandom, seededRandom, testSeed } from '../../support/seeded-random.js';

const SAMPLED = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const UNSAMPLED = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00';

function open(ratio: number, random = seededRandom(testSeed)) {
  const exporter = new InMemorySpanExporter();
  const provider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  return { tracing: new Tracing(provider.getTracer('test'), ratio, random), ended: () => exporter.getFinishedSpans() };
}

const under = (traceparent: string | undefined, more: Partial<TraceHeaders> = {}): HopOptions => ({
  kind: SpanKind.SERVER,
  parent: traceparent === undefined && more.baggage === undefined ? undefined : { traceparent, ...more },
});

describe('tracing', () => {
  it('goes on with a trace that its caller samples, whatever its own ratio', () => {
    const { tracing, ended } = open(0);
    const hop = tracing.begin('work', under(SAMPLED));
    expect(parseTraceparent(hop?.traceparent ?? '')).toMatchObject({ traceId: '0af7651916cd43dd8448eb211c80319c', flags: '01' });
    expect(hop?.traceparent).not.toContain('b7ad6b7169203331');
    hop?.end();
    expect(ended()[0]?.parentSpanContext?.spanId).toBe('b7ad6b7169203331');
  });

  it('takes along what the caller said beside it, unchanged, and notes in its spans what tracing systems add', () => {
    const { tracing, ended } = open(1);
    const sent = { tracestate: 'shop=a:1,other@t=2', baggage: 'user=ada;p=1, cart=17' };
    const hop = tracing.begin('work', under(SAMPLED, sent));
    expect(hop).toMatchObject(sent);
    hop?.end();
    expect(ended()[0]?.spanContext().traceState?.serialize()).toBe(sent.tracestate);
  });

  it("begins a trace with its caller's baggage", () => {
    for (const random of [0.1, 0.9])
      expect(open(0.5, fixedRandom(random)).tracing.begin('work', under(undefined, { baggage: 'user=ada' }))).toMatchObject({
        traceparent: expect.stringMatching(/^00-/),
        tracestate: undefined,
        baggage: 'user=ada',
      });
  });

  it('adds nothing to a trace that its caller does not sample', () => {
    const { tracing, ended } = open(1);
    expect(tracing.begin('work', under(UNSAMPLED))).toBeUndefined();
    expect(ended()).toEqual([]);
  });

  it('begins a trace where there is none, or none that is valid: sampled by its ratio', () => {
    for (const parent of [undefined, 'nonsense']) {
      const sampled = open(0.5, fixedRandom(0.49)).tracing.begin('work', under(parent));
      expect(sampled?.span?.isRecording()).toBe(true);
      expect(parseTraceparent(sampled?.traceparent ?? '')?.flags).toBe('01');
      const not = open(0.5, fixedRandom(0.51)).tracing.begin('work', under(parent));
      expect(not?.span).toBeUndefined();
      expect(parseTraceparent(not?.traceparent ?? '')?.flags).toBe('00');
    }
  });

  it(`samples about that part of all traces (seed ${testSeed})`, () => {
    const { tracing } = open(0.1);
    let sampled = 0;
    for (let index = 0; index < 5_000; index++) if (tracing.begin('work', under(undefined))?.span !== undefined) sampled += 1;
    expect(sampled).toBeGreaterThan(400);
    expect(sampled).toBeLessThan(600);
  });

  it('follows, but begins nothing, where it is asked to follow', () => {
    const { tracing } = open(1);
    for (const parent of [undefined, 'nonsense', UNSAMPLED]) expect(tracing.follow('work', under(parent))).toBeUndefined();
    expect(tracing.follow('work', under(SAMPLED))?.span?.isRecording()).toBe(true);
  });

  it('says what failed, and of what is not ours no more than that', () => {
    const { tracing, ended } = open(1);
    tracing.begin('ours', under(undefined))?.end(new TroupeError('NOT_FOUND', 'NO_AGENT', 'nobody'));
    tracing.begin('theirs', under(undefined))?.end(new Error('secret'));
    expect(ended().map(({ status, attributes }) => [status, attributes])).toEqual([
      [{ code: 2, message: 'nobody' }, { 'error.type': 'NO_AGENT' }],
      [{ code: 2, message: 'internal error' }, { 'error.type': 'INTERNAL' }],
    ]);
  });
});

describe('a span where nothing is recorded', () => {
  it('is of the trace, if there is one', () => {
    expect(silentSpan(UNSAMPLED).spanContext()).toMatchObject({ spanId: 'b7ad6b7169203331', traceFlags: 0 });
    expect(silentSpan('nonsense').isRecording()).toBe(false);
    expect(silentSpan(undefined).spanContext().traceId).toBe('0'.repeat(32));
  });

  it('gives its ids to log lines', () => {
    expect(traceFields(UNSAMPLED)).toEqual({ trace_id: '0af7651916cd43dd8448eb211c80319c', span_id: 'b7ad6b7169203331' });
    expect(traceFields(undefined)).toBeUndefined();
  });
});
