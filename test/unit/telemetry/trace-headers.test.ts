import { describe, expect, it } from '@jest/globals';
import { addTraceHeaders, traceEntries, traceHeadersOf, traceRecord, traceWithin } from '../../../src/telemetry/trace-headers.js';

const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const other = '00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01';
const read = (headers: Readonly<Record<string, string>>) => traceHeadersOf((name) => headers[name]);
const members = (count: number, member: (index: number) => string) =>
  Array.from({ length: count }, (_, n) => member(n)).join(',');

describe('headers of a trace', () => {
  it.each([
    ['one member', 'shop=00f067aa0ba902b7'],
    ['members of several tenants, with spaces between', 'fw529a3039@dt=FfAz8, rojo=00-b7 c, 1a-2*3/4_=!~'],
    ['an empty member', 'shop=1,,other=2'],
    ['32 members', members(32, (n) => `k${n}=1`)],
    ['512 characters', `a=${'x'.repeat(249)},bb=${'x'.repeat(256)}`.padEnd(512, ',')],
  ])('take along a tracestate with %s, as it came', (_name, tracestate) => {
    expect(read({ traceparent, tracestate })).toEqual({ traceparent, tracestate, baggage: undefined });
  });

  it.each([
    ['is empty', ''],
    ['has no value', 'shop'],
    ['has a key in capitals', 'Shop=1'],
    ['has what is not ASCII', 'shop=ä'],
    ['has two values', 'shop=1=2'],
    ['has 33 members', members(33, (n) => `k${n}=1`)],
    ['has 513 characters', `a=${'x'.repeat(256)},b=${'x'.repeat(252)}`],
  ])('leave out a tracestate that %s, and nothing else', (_name, tracestate) => {
    expect(read({ traceparent, tracestate, baggage: 'a=1' })).toEqual({ traceparent, tracestate: undefined, baggage: 'a=1' });
  });

  it('leave out a tracestate whose traceparent is not there, or not valid', () => {
    expect(read({ tracestate: 'shop=1' })).toBeUndefined();
    expect(read({ traceparent: 'nonsense', tracestate: 'shop=1' })).toBeUndefined();
    expect(read({ traceparent: 'nonsense', tracestate: 'shop=1', baggage: 'a=1' })).toMatchObject({ tracestate: undefined });
  });

  it.each([
    ['members with properties and spaces', 'userId=Am%C3%A9lie;private;ttl = 5 , isProduction = false'],
    ['an empty value', 'key='],
    ['64 members', members(64, (n) => `k${n}=1`)],
    ['8,192 bytes', `a=${'x'.repeat(8_190)}`],
  ])('take along baggage with %s, as it came, also without a trace', (_name, baggage) => {
    expect(read({ baggage })).toEqual({ traceparent: undefined, tracestate: undefined, baggage });
    expect(read({ traceparent, baggage })).toMatchObject({ traceparent, baggage });
  });

  it.each([
    ['is empty', ''],
    ['has a member without a value', 'a=1,b'],
    ['has a member without a key', '=1'],
    ['has what is not ASCII', 'user=Amélie'],
    ['has a line break', 'a=1\r\nb: 2'],
    ['has 65 members', members(65, (n) => `k${n}=1`)],
    ['has 8,193 bytes', `a=${'x'.repeat(8_191)}`],
  ])('leave out baggage that %s, and nothing else', (_name, baggage) => {
    expect(read({ traceparent, tracestate: 'shop=1', baggage })).toMatchObject({
      traceparent,
      tracestate: 'shop=1',
      baggage: undefined,
    });
    expect(read({ baggage })).toBeUndefined();
  });

  it('are listed as far as they are there', () => {
    expect(traceEntries({ traceparent: undefined, baggage: 'a=1' })).toEqual([['baggage', 'a=1']]);
    expect(traceRecord({ traceparent, tracestate: 'shop=1' })).toEqual({ traceparent, tracestate: 'shop=1' });
    expect(traceRecord(undefined)).toEqual({});
  });
});

describe('what goes with a message', () => {
  const around = { traceparent, tracestate: 'shop=1', baggage: 'user=ada' };

  it('is what is around it, where nothing is given', () => {
    expect(traceWithin({}, around)).toBe(around);
    expect(traceWithin({}, undefined)).toBeUndefined();
  });

  it('is what is given, with the rest of what is around it', () => {
    expect(traceWithin({ baggage: 'cart=17' }, around)).toEqual({ ...around, baggage: 'cart=17' });
    expect(traceWithin({ tracestate: 'mine=1' }, around)).toEqual({ ...around, tracestate: 'mine=1' });
    // Another trace has nothing to do with the tracestate of this one.
    expect(traceWithin({ traceparent: other }, around)).toEqual({
      traceparent: other,
      tracestate: undefined,
      baggage: 'user=ada',
    });
    expect(traceWithin({ traceparent: other, tracestate: 'mine=1' }, undefined)).toMatchObject({ tracestate: 'mine=1' });
  });

  it('leaves what the message has of its own', () => {
    const added = (headers: Readonly<Record<string, string>>, most = 16) => {
      const all = new Map(Object.entries(headers));
      addTraceHeaders(all, around, most);
      return Object.fromEntries(all);
    };
    expect(added({ ticket: '42' })).toEqual({ ticket: '42', ...around });
    expect(added({ traceparent: other })).toEqual({ traceparent: other, baggage: 'user=ada' });
    expect(added({ baggage: 'mine=1' })).toEqual({ ...around, baggage: 'mine=1' });
    expect(added({ ticket: '42' }, 2)).toEqual({ ticket: '42', traceparent });
  });
});
