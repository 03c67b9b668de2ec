import { describe, expect, it } from '@jest/globals';
import type { TroupeError } from '../../../src/core/errors.js';
import { decodePayload } from '../../../src/rpc/codec/payload.js';
import { fallbacksOf, NO_POLICY, parseRoutingPolicy } from '../../../src/upstream/routing-policy.js';

function fieldsOf(input: unknown): string[] {
  try {
    parseRoutingPolicy(input);
  } catch (error) {
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    return (error as TroupeError).violations.map(({ field }) => field);
  }
  return [];
}

describe('a routing policy', () => {
  it('is read with what is not given filled in', () => {
    const policy = parseRoutingPolicy({
      perCaller: { perSecond: 0.5 },
      callers: { batch: { perSecond: 10, burst: 100 } },
      capabilities: {
        inference: {
          strategy: 'peak_ewma',
          rateLimit: { perSecond: 50 },
          fallback: 'small-inference',
          defaultAnswer: { json: { label: null } },
        },
        greeting: { defaultAnswer: { text: 'hello' } },
      },
    });
    expect(policy.perCaller).toEqual({ perSecond: 0.5, burst: 1 });
    expect(policy.callers.get('batch')).toEqual({ perSecond: 10, burst: 100 });
    const inference = policy.capabilities.get('inference');
    expect(inference).toMatchObject({
      strategy: 'peak_ewma',
      rateLimit: { perSecond: 50, burst: 50 },
      fallback: 'small-inference',
    });
    expect(decodePayload(inference?.defaultAnswer ?? Buffer.alloc(0))).toEqual({ kind: 'json', json: { label: null } });
    expect(decodePayload(policy.capabilities.get('greeting')?.defaultAnswer ?? Buffer.alloc(0))).toEqual({
      kind: 'text',
      text: 'hello',
    });
    expect(parseRoutingPolicy({})).toEqual(NO_POLICY);
  });

  it.each<[string, unknown, string[]]>([
    ['no object', 'x', ['policy']],
    ['a rate of 0', { perCaller: { perSecond: 0 } }, ['policy.perCaller.perSecond']],
    ['a rate that is never', { perCaller: { perSecond: 1e-300 } }, ['policy.perCaller.perSecond']],
    [
      'an answer that is too large',
      { capabilities: { x: { defaultAnswer: { text: 'x'.repeat(1_048_577) } } } },
      ['policy.capabilities.x.defaultAnswer'],
    ],
    ['a negative rate', { callers: { a: { perSecond: -1 } } }, ['policy.callers.a.perSecond']],
    [
      'a burst of 0',
      { capabilities: { x: { rateLimit: { perSecond: 1, burst: 0 } } } },
      ['policy.capabilities.x.rateLimit.burst'],
    ],
    ['an unknown strategy', { capabilities: { x: { strategy: 'best' } } }, ['policy.capabilities.x.strategy']],
    ['a field that is none', { capabilities: { x: { fallbak: 'y' } } }, ['policy.capabilities.x.fallbak']],
    ['a name that is none', { capabilities: { 'X/Y': {} } }, ['policy.capabilities.X/Y']],
    ['a fallback that is no name', { capabilities: { x: { fallback: '../y' } } }, ['policy.capabilities.x.fallback']],
    ['an answer of no kind', { capabilities: { x: { defaultAnswer: {} } } }, ['policy.capabilities.x.defaultAnswer']],
    ['a fallback to itself', { capabilities: { x: { fallback: 'x' } } }, ['policy.capabilities.x.fallback']],
    [
      'fallbacks that loop',
      { capabilities: { x: { fallback: 'y' }, y: { fallback: 'z' }, z: { fallback: 'x' }, before: { fallback: 'x' } } },
      ['policy.capabilities.x.fallback', 'policy.capabilities.y.fallback', 'policy.capabilities.z.fallback'],
    ],
    [
      'too many fallbacks in a row',
      {
        capabilities: {
          a: { fallback: 'b' },
          b: { fallback: 'c' },
          c: { fallback: 'd' },
          d: { fallback: 'e' },
          e: { fallback: 'f' },
        },
      },
      ['policy.capabilities.a.fallback'],
    ],
  ])('with %s is refused, naming the field', (_what, input, fields) => {
    expect(fieldsOf(input)).toEqual(fields);
  });

  it('says how fallbacks loop', () => {
    expect(() => parseRoutingPolicy({ capabilities: { x: { fallback: 'y' }, y: { fallback: 'x' } } })).toThrow(
      'loops: x → y → x',
    );
  });

  it('does not take keys of objects for names', () => {
    const policy = parseRoutingPolicy(JSON.parse('{"capabilities": {"constructor": {"fallback": "y"}}}'));
    expect(policy.capabilities.get('constructor')?.fallback).toBe('y');
    expect(policy.capabilities.get('toString')).toBeUndefined();
    expect(fieldsOf(JSON.parse('{"capabilities": {"__proto__": {"fallback": "y"}}}'))).toEqual(['policy.capabilities.__proto__']);
  });
});

describe('the fallbacks of a task', () => {
  const policy = parseRoutingPolicy({ capabilities: { big: { fallback: 'small' }, small: { fallback: 'tiny' } } });

  it.each([
    ['its own, then what the policy has for that', ['other'], 'small', ['small', 'tiny']],
    ['those of the policy for the first of its capabilities that has one', ['other', 'big'], '', ['small', 'tiny']],
    ['its own before that of the policy', ['big'], 'tiny', ['tiny']],
    ['none', ['other'], '', []],
  ])('are %s', (_what, required, own, expected) => {
    expect(fallbacksOf(required, own, policy)).toEqual(expected);
  });

  it.each([
    [['x'], 'x', 'x → x'],
    [['tiny'], 'big', 'tiny → big → small → tiny'],
  ])('of %j by %s are refused: they loop', (required, own, path) => {
    expect(() => fallbacksOf(required, own, policy)).toThrow(`task.fallback_capability: loops: ${path}`);
  });
});
