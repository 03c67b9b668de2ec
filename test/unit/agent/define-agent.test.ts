import { describe, expect, it } from '@jest/globals';
import { defineAgent, isAgentDefinition } from '../../../src/agent/define-agent.js';
import { type FieldViolation, isTroupeError } from '../../../src/core/errors.js';
import { ID_RULE } from '../../../src/core/ids.js';

const run = () => 'done';
const valid = { kind: 'echo', capabilities: ['echo'], run };

/** What defineAgent finds wrong; what authors in JavaScript may write, no compiler has seen. */
function violationsOf(options: object): readonly FieldViolation[] {
  try {
    defineAgent(options as typeof valid);
  } catch (error) {
    if (isTroupeError(error, 'INVALID_FIELD') && error.code === 'INVALID_ARGUMENT') return error.violations;
    throw error;
  }
  return [];
}

describe('defineAgent', () => {
  it('fills in the defaults', () => {
    expect(defineAgent(valid)).toMatchObject({
      ...valid,
      description: '',
      concurrency: 1,
      mailboxCapacity: 100,
      adaptiveConcurrency: false,
      circuit: {},
    });
  });

  it('keeps what is given', () => {
    const options = {
      ...valid,
      description: 'says it again',
      concurrency: 8,
      mailboxCapacity: 5,
      adaptiveConcurrency: true,
      circuit: { failures: 3, openMs: 1_000 },
      config: { parse: (value: unknown) => value as { prefix: string } },
      start: () => ({ count: 0 }),
      stop: () => undefined,
    };
    expect(defineAgent(options)).toMatchObject(options);
  });

  it('takes every limit to its bounds', () => {
    const capabilities = Array.from({ length: 64 }, (_, i) => `capability-${i}`);
    const most = { kind: 'a'.repeat(63), capabilities, concurrency: 10_000, mailboxCapacity: 100_000, run };
    expect(violationsOf(most)).toEqual([]);
    expect(violationsOf({ ...valid, concurrency: 1, mailboxCapacity: 1 })).toEqual([]);
    for (const circuit of [false, {}, { failures: 1, openMs: 1, maxOpenMs: 1 }, { failures: 1_000, openMs: 3_600_000 }])
      expect(violationsOf({ ...valid, circuit })).toEqual([]);
  });

  const oneTo = (most: number) => `must be a whole number from 1 to ${most}`;
  it.each<[string, object, string, string]>([
    ['no kind', { kind: undefined }, 'kind', `is required; ${ID_RULE}`],
    ['an empty kind', { kind: '' }, 'kind', `is required; ${ID_RULE}`],
    ['a kind in upper case', { kind: 'Echo' }, 'kind', ID_RULE],
    ['a kind that is too long', { kind: 'a'.repeat(64) }, 'kind', ID_RULE],
    ['no capabilities', { capabilities: undefined }, 'capabilities', 'must be an array of names'],
    ['capabilities that are a string', { capabilities: 'echo' }, 'capabilities', 'must be an array of names'],
    ['an empty string for capabilities', { capabilities: '' }, 'capabilities', 'must be an array of names'],
    ['an empty list of capabilities', { capabilities: [] }, 'capabilities', 'must name at least one'],
    ['a wrong capability', { capabilities: ['echo', 'No!'] }, 'capabilities[1]', ID_RULE],
    ['a capability that is no string', { capabilities: [{}] }, 'capabilities[0]', ID_RULE],
    ['an empty capability', { capabilities: [''] }, 'capabilities[0]', `is required; ${ID_RULE}`],
    ['a capability given twice', { capabilities: ['a', 'b', 'a'] }, 'capabilities[2]', '"a" is given twice'],
    [
      'too many capabilities',
      { capabilities: Array.from({ length: 65 }, (_, i) => `c${i}`) },
      'capabilities',
      'at most 64 are allowed, got 65',
    ],
    ['a concurrency of 0', { concurrency: 0 }, 'concurrency', oneTo(10_000)],
    ['a concurrency that is too high', { concurrency: 10_001 }, 'concurrency', oneTo(10_000)],
    ['a fraction for concurrency', { concurrency: 1.5 }, 'concurrency', oneTo(10_000)],
    ['a string for concurrency', { concurrency: '2' }, 'concurrency', oneTo(10_000)],
    ['NaN for concurrency', { concurrency: Number.NaN }, 'concurrency', oneTo(10_000)],
    ['a mailbox of 0', { mailboxCapacity: 0 }, 'mailboxCapacity', oneTo(100_000)],
    ['a mailbox that is too big', { mailboxCapacity: 100_001 }, 'mailboxCapacity', oneTo(100_000)],
    ['an endless mailbox', { mailboxCapacity: Number.POSITIVE_INFINITY }, 'mailboxCapacity', oneTo(100_000)],
    ['a word for adaptiveConcurrency', { adaptiveConcurrency: 'yes' }, 'adaptiveConcurrency', 'must be true or false'],
    ['a circuit that is true', { circuit: true }, 'circuit', 'must be false, or an object of failures, openMs and maxOpenMs'],
    ['a circuit of no failures', { circuit: { failures: 0 } }, 'circuit.failures', oneTo(1_000)],
    ['a circuit that opens for no time', { circuit: { openMs: 0 } }, 'circuit.openMs', oneTo(3_600_000)],
    ['a circuit that opens for less than that', { circuit: { openMs: -1 } }, 'circuit.openMs', oneTo(3_600_000)],
    ['a circuit that stays open for ever', { circuit: { maxOpenMs: Infinity } }, 'circuit.maxOpenMs', oneTo(3_600_000)],
    [
      'a circuit of a shorter longest pause',
      { circuit: { openMs: 9, maxOpenMs: 8 } },
      'circuit.maxOpenMs',
      'must be at least openMs',
    ],
    ['no run', { run: undefined }, 'run', 'must be a function (task, ctx) => result'],
    ['a run that is no function', { run: 'run' }, 'run', 'must be a function (task, ctx) => result'],
    ['a start that is no function', { start: {} }, 'start', 'must be a function (ctx) => state'],
    ['a stop that is no function', { stop: true }, 'stop', 'must be a function (ctx) => void'],
    ['a config that cannot parse', { config: {} }, 'config', 'must have a method parse(value), as zod schemas have'],
    ['a config of null', { config: null }, 'config', 'must have a method parse(value), as zod schemas have'],
  ])('refuses %s', (_name, change, field, description) => {
    expect(violationsOf({ ...valid, ...change })).toEqual([{ field, description }]);
  });

  it('names every wrong field at once', () => {
    const fields = violationsOf({ kind: '', capabilities: ['A', 'b', 'b'], concurrency: 0, mailboxCapacity: -1 }).map(
      ({ field }) => field,
    );
    expect(fields).toEqual(['kind', 'capabilities[0]', 'capabilities[2]', 'concurrency', 'mailboxCapacity', 'run']);
  });
});

describe('isAgentDefinition', () => {
  it('knows what defineAgent made', () => {
    expect(isAgentDefinition(defineAgent(valid))).toBe(true);
  });

  it('knows what another copy of this package made', () => {
    expect(isAgentDefinition({ ...valid, [Symbol.for('troupe.dev/agent-definition')]: true })).toBe(true);
  });

  it.each([
    ['options', valid],
    ['undefined', undefined],
    ['null', null],
    ['a function', run],
    ['a string', 'echo'],
  ])('does not take %s for one', (_name, value) => {
    expect(isAgentDefinition(value)).toBe(false);
  });
});
