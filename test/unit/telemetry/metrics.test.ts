import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { INSTRUMENTS, type Instrument, prometheusName } from '../../../src/telemetry/instruments.js';
import { Metrics, type Spread } from '../../../src/telemetry/metrics.js';
import { prometheusText } from '../../../src/telemetry/prometheus.js';
import { FakeClock } from '../../support/fake-clock.js';

const open = () => new Metrics(new FakeClock());

function linesOf(metrics: Metrics, instrument: Instrument) {
  return metrics.collect().find((family) => family.instrument === instrument)?.lines ?? [];
}

describe('an instrument', () => {
  const all = Object.values(INSTRUMENTS) as Instrument[];

  it.each(all.map((instrument) => [instrument.name, instrument] as const))('%s is well formed', (name, instrument) => {
    expect(name).toMatch(/^(troupe|process)(\.[a-z][a-z_]*)+$/);
    expect(prometheusName(instrument)).toMatch(/^[a-z][a-z_]*$/);
    expect(instrument.description).toMatch(/^[A-Z'].*\.$|^1 where/);
    for (const label of instrument.labels) expect(label).toMatch(/^(?!id$)[a-z_]+$/);
    const { kind, buckets } = instrument;
    expect(kind === 'histogram').toBe(buckets !== undefined);
    expect([...(buckets ?? [])].sort((a, b) => a - b)).toEqual(buckets ?? []);
  });

  it('has a name of its own', () => {
    expect(new Set(all.map(prometheusName)).size).toBe(all.length);
  });

  it('is named for Prometheus by its unit and its kind', () => {
    expect(prometheusName(INSTRUMENTS.rpcDuration)).toBe('troupe_rpc_server_duration_seconds');
    expect(prometheusName(INSTRUMENTS.linkSent)).toBe('troupe_link_sent_bytes_total');
    expect(prometheusName(INSTRUMENTS.leaseLost)).toBe('troupe_lease_lost_total');
    expect(prometheusName(INSTRUMENTS.processStart)).toBe('process_start_time_seconds');
  });
});

describe('metrics', () => {
  it('count by the values of labels', () => {
    const metrics = open();
    metrics.counter(INSTRUMENTS.taskAttempts, 'a', 'completed').add();
    metrics.counter(INSTRUMENTS.taskAttempts, 'a', 'completed').add(2);
    metrics.counter(INSTRUMENTS.taskAttempts, 'a', 'unknown').add();
    expect(linesOf(metrics, INSTRUMENTS.taskAttempts)).toEqual([
      { labels: ['a', 'completed'], value: 3 },
      { labels: ['a', 'unknown'], value: 1 },
    ]);
  });

  it('spread values over buckets whose bounds are inclusive', () => {
    const metrics = open();
    const { buckets } = INSTRUMENTS.storeDuration;
    fc.assert(
      fc.property(fc.double({ min: 0, max: 20, noNaN: true }), (value) => {
        const histogram = open();
        histogram.histogram(INSTRUMENTS.storeDuration, 'get', 'OK').record(value);
        const spread = linesOf(histogram, INSTRUMENTS.storeDuration).map((line) => line.value as Spread);
        const bucket = buckets.findIndex((bound) => value <= bound);
        expect(spread[0]?.counts.indexOf(1)).toBe(bucket === -1 ? buckets.length : bucket);
      }),
    );
    metrics.histogram(INSTRUMENTS.storeDuration, 'get', 'OK').record(0.001);
    metrics.histogram(INSTRUMENTS.storeDuration, 'get', 'OK').record(7);
    expect(linesOf(metrics, INSTRUMENTS.storeDuration)[0]?.value).toMatchObject({ count: 2, sum: 7.001 });
  });

  it.each([Number.NaN, -1])('take in no %p', (value) => {
    const metrics = open();
    metrics.histogram(INSTRUMENTS.storeDuration, 'get', 'OK').record(value);
    expect(linesOf(metrics, INSTRUMENTS.storeDuration)[0]?.value).toMatchObject({ count: 0, sum: 0 });
  });

  it('read what is observed only when somebody looks, add up what several tell, and stop with the observer', () => {
    const metrics = open();
    let looks = 0;
    const stop = metrics.observe(INSTRUMENTS.links, () => {
      looks += 1;
      return [[['up'], 2]];
    });
    metrics.observe(INSTRUMENTS.links, () => [
      [['up'], 3],
      [['down'], 1],
    ]);
    expect(looks).toBe(0);
    expect(linesOf(metrics, INSTRUMENTS.links)).toEqual([
      { labels: ['up'], value: 5 },
      { labels: ['down'], value: 1 },
    ]);
    stop();
    expect(linesOf(metrics, INSTRUMENTS.links)).toEqual([
      { labels: ['up'], value: 3 },
      { labels: ['down'], value: 1 },
    ]);
  });

  it('add what is counted to what is observed of the same instrument', () => {
    const metrics = open();
    metrics.counter(INSTRUMENTS.circuitTransitions, 'open').add();
    metrics.observe(INSTRUMENTS.circuitTransitions, () => [[['open'], 4]]);
    expect(metrics.collect()).toHaveLength(1);
    expect(linesOf(metrics, INSTRUMENTS.circuitTransitions)).toEqual([{ labels: ['open'], value: 5 }]);
  });

  it('have a bounded number of lines: what is beyond goes to one', () => {
    const metrics = open();
    for (let index = 0; index < 1_000; index++) metrics.counter(INSTRUMENTS.deadLetters, `reason-${index}`).add();
    const lines = linesOf(metrics, INSTRUMENTS.deadLetters);
    expect(lines.length).toBeLessThanOrEqual(401);
    expect(lines.find(({ labels }) => labels[0] === 'other')?.value).toBe(600);
  });

  it('refuse labels that the instrument does not have', () => {
    expect(() => open().counter(INSTRUMENTS.deadLetters, 'a', 'b')).toThrow('troupe.dead_letters has the labels reason');
  });
});

describe("Prometheus' text", () => {
  it('has help, type, cumulative buckets, sum and count', () => {
    const metrics = open();
    metrics.histogram(INSTRUMENTS.storeDuration, 'get', 'OK').record(0.004);
    metrics.histogram(INSTRUMENTS.storeDuration, 'get', 'OK').record(100);
    const lines = prometheusText(metrics, 0).split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        '# HELP troupe_store_duration_seconds Operations of the store as the registry sees them.',
        '# TYPE troupe_store_duration_seconds histogram',
        'troupe_store_duration_seconds_count{operation="get",code="OK"} 2',
        'troupe_store_duration_seconds_sum{operation="get",code="OK"} 100.004',
        'troupe_store_duration_seconds_bucket{operation="get",code="OK",le="0.0025"} 0',
        'troupe_store_duration_seconds_bucket{operation="get",code="OK",le="0.005"} 1',
        'troupe_store_duration_seconds_bucket{operation="get",code="OK",le="+Inf"} 2',
      ]),
    );
    expect(lines.at(-1)).toBe('');
  });

  it('escapes what is in labels', () => {
    const metrics = open();
    metrics.counter(INSTRUMENTS.deadLetters, 'a "b"\\\nc').add();
    expect(prometheusText(metrics, 0)).toContain('troupe_dead_letters_total{reason="a \\"b\\"\\\\\\nc"} 1');
  });
});
