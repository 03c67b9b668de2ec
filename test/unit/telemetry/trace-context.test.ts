import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  formatTraceparent,
  isUnsampled,
  parseTraceparent,
  type TraceContext,
  UnsampledTraces,
  validTraceparent,
} from '../../../src/telemetry/trace-context.js';
import { fixedRandom, seededRandom, testSeed } from '../../support/seeded-random.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const SPAN = 'b7ad6b7169203331';

const hexOf = (digits: number) =>
  fc
    .array(fc.constantFrom(...'0123456789abcdef'), { minLength: digits, maxLength: digits })
    .map((chars) => chars.join(''))
    .filter((text) => !/^0+$/.test(text));
const contexts: fc.Arbitrary<TraceContext> = fc.record({
  traceId: hexOf(32),
  spanId: hexOf(16),
  flags: fc.constantFrom('00', '01', '02', '03'),
});

describe('parseTraceparent', () => {
  it.each([
    ['a sampled trace', `00-${TRACE}-${SPAN}-01`, '01'],
    ['a trace that is not sampled', `00-${TRACE}-${SPAN}-00`, '00'],
    ['reserved flags, set to zero', `00-${TRACE}-${SPAN}-ff`, '03'],
    ['a later version', `01-${TRACE}-${SPAN}-01`, '01'],
    ['a later version with more fields', `cc-${TRACE}-${SPAN}-01-what-the-future-holds`, '01'],
  ])('reads %s', (_name, header, flags) => {
    expect(parseTraceparent(header)).toEqual({ traceId: TRACE, spanId: SPAN, flags });
  });

  it.each([
    ['an empty header', ''],
    ['version ff', `ff-${TRACE}-${SPAN}-01`],
    ['version 00 with more fields', `00-${TRACE}-${SPAN}-01-more`],
    ['a later version whose fields do not end', `01-${TRACE}-${SPAN}-01.more`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
    ['a span id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['upper case', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
    ['a short trace id', `00-${TRACE.slice(1)}-${SPAN}-01`],
    ['a long span id', `00-${TRACE}-${SPAN}0-01`],
    ['no flags', `00-${TRACE}-${SPAN}`],
    ['digits that are not hexadecimal', `00-${TRACE.replace('a', 'g')}-${SPAN}-01`],
    ['spaces', ` 00-${TRACE}-${SPAN}-01`],
    ['a line break', `00-${TRACE}-${SPAN}-01\n`],
  ])('ignores %s', (_name, header) => {
    expect(parseTraceparent(header)).toBeUndefined();
  });

  it('reads back what formatTraceparent writes', () => {
    fc.assert(fc.property(contexts, (context) => expect(parseTraceparent(formatTraceparent(context))).toEqual(context)));
  });

  it('gives for any text either nothing or a context that it would read again', () => {
    const mutations = fc.oneof(
      fc.string(),
      fc.tuple(contexts, fc.nat(54), fc.string({ maxLength: 3 })).map(([context, at, text]) => {
        const header = formatTraceparent(context);
        return header.slice(0, at) + text + header.slice(at + text.length);
      }),
    );
    fc.assert(
      fc.property(mutations, (header) => {
        const context = parseTraceparent(header);
        if (context !== undefined) expect(parseTraceparent(formatTraceparent(context))).toEqual(context);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe('traces that are not sampled', () => {
  it(`have ids of their own, which are valid (seed ${testSeed})`, () => {
    const traces = [new UnsampledTraces(seededRandom(testSeed)), new UnsampledTraces(fixedRandom(0))];
    const headers = traces.flatMap((each) => Array.from({ length: 100 }, () => each.next()));
    for (const header of headers) {
      expect(parseTraceparent(header)?.flags).toBe('00');
      expect(isUnsampled(header)).toBe(true);
    }
    expect(new Set(headers.map((header) => parseTraceparent(header)?.traceId)).size).toBe(200);
    expect(new Set(headers.map((header) => parseTraceparent(header)?.spanId)).size).toBe(200);
  });

  it('are told from others', () => {
    for (const header of [`00-${TRACE}-${SPAN}-01`, `00-${TRACE}-${SPAN}-00-x`, `01-${TRACE}-${SPAN}-00`, ''])
      expect(isUnsampled(header)).toBe(false);
  });
});

describe('validTraceparent', () => {
  it('gives a header as it came, and nothing of one that is to be ignored', () => {
    const header = `00-${TRACE}-${SPAN}-01`;
    expect(validTraceparent(header)).toBe(header);
    expect(validTraceparent(`${header}-more`)).toBeUndefined();
    expect(validTraceparent(undefined)).toBeUndefined();
  });
});
