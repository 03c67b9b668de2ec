import { describe, expect, test } from '@jest/globals';
import { ExitError, exitCodeOf, printError, UsageError } from '../../../src/cli/errors.js';
import { type ErrorCode, invalidArgument, TroupeError } from '../../../src/core/errors.js';
import { CapturedIo } from './captured-io.js';

describe('exitCodeOf', () => {
  test.each<[string, unknown, number]>([
    ['wrong usage', new UsageError('no'), 2],
    ['wrong usage of a role', new TroupeError('INVALID_ARGUMENT', 'USAGE', 'no'), 2],
    ['an exit code of its own', new ExitError(7), 7],
    ['any other error', new Error('no'), 1],
    ['what is no error', 'no', 1],
    ['a port in use', new TroupeError('UNAVAILABLE', 'PORT_IN_USE', 'no'), 1],
    ['agents that cannot be loaded', new TroupeError('INVALID_ARGUMENT', 'AGENT_MODULE', 'no'), 1],
    ['nobody at the address', new TroupeError('UNAVAILABLE', 'NOT_CONNECTED', 'no'), 3],
    ['a connection that broke', new TroupeError('UNAVAILABLE', 'UNAVAILABLE', 'no'), 3],
    ['a registry that is away', new TroupeError('UNAVAILABLE', 'REGISTRY_UNAVAILABLE', 'no'), 3],
    ['a store that is away', new TroupeError('UNAVAILABLE', 'STORE_UNAVAILABLE', 'no'), 3],
    ['agents that are not healthy', new TroupeError('UNAVAILABLE', 'NO_HEALTHY_AGENT', 'no'), 4],
    ['an unknown capability', new TroupeError('NOT_FOUND', 'NO_AGENT', 'no'), 4],
    ['a wrong field', invalidArgument('task', 'no'), 4],
    ['an error of an agent', new TroupeError('UNKNOWN', 'AGENT_ERROR', 'no'), 4],
  ])('for %s', (_name, error, code) => {
    expect(exitCodeOf(error)).toBe(code);
  });
});

describe('printError', () => {
  function printed(error: unknown, options: ConstructorParameters<typeof CapturedIo>[0] = {}, format?: 'text' | 'json') {
    const io = new CapturedIo(options);
    printError(io, error, format);
    expect(io.out).toBe('');
    return io.err;
  }

  test('says message, code and reason in one line', () => {
    expect(printed(new TroupeError('NOT_FOUND', 'NO_AGENT', 'no agent offers "x"'))).toBe(
      'error: no agent offers "x" (NOT_FOUND NO_AGENT)\n',
    );
  });

  test('does not say the code twice', () => {
    expect(printed(new TroupeError('CANCELLED', 'CANCELLED', 'gone'))).toBe('error: gone (CANCELLED)\n');
  });

  test.each<[ErrorCode, string, string]>([
    ['UNAVAILABLE', 'NOT_CONNECTED', 'is a cluster running? start one with `troupe dev`, or give --address <host:port>'],
    [
      'ABORTED',
      'OUTCOME_UNKNOWN',
      'where doing it twice does no harm, --idempotent (of troupe send: --at-least-once) has it repeated',
    ],
    ['UNIMPLEMENTED', 'UNIMPLEMENTED', 'the process at this address does not serve that; give --address of a gateway'],
  ])('says what to do about %s %s', (code, reason, hint) => {
    expect(printed(new TroupeError(code, reason, 'no')).split('\n')[1]).toBe(hint);
  });

  test('does not doubt the cluster where a node of it is not reached', () => {
    const error = new TroupeError('UNAVAILABLE', 'NOT_CONNECTED', 'node "node-1" is not reached', {
      metadata: { node_id: 'node-1' },
    });
    expect(printed(error).split('\n')[1]).toBe('it may have ended a moment ago: see `troupe nodes`, and try again');
  });

  test('says when to try again', () => {
    const error = new TroupeError('RESOURCE_EXHAUSTED', 'MAILBOX_FULL', 'full', { retryAfterMs: 1500 });
    expect(printed(error)).toBe('error: full (RESOURCE_EXHAUSTED MAILBOX_FULL)\ntry again in 1.5 s\n');
  });

  test('keeps to one line and to characters that can be printed', () => {
    expect(printed(new Error('a\nb\u001b[2Jc'))).toBe('error: a b\\u001b[2Jc\n');
  });

  test('says nothing for an exit code', () => {
    expect(printed(new ExitError(1))).toBe('');
  });

  test('shows the stack with TROUPE_DEBUG=1 only', () => {
    expect(printed(new Error('no'))).not.toMatch(/ at /);
    expect(printed(new Error('no'), { env: { TROUPE_DEBUG: '1' } })).toMatch(/\n {4}at /);
  });

  test('colours on a terminal', () => {
    expect(printed(new UsageError('no'), { isTTY: true })).toBe(
      '\u001b[31merror:\u001b[39m no\n\u001b[2mrun `troupe --help`\u001b[22m\n',
    );
  });

  test('as JSON gives one object', () => {
    const error = new TroupeError('NOT_FOUND', 'NO_AGENT', 'none', { metadata: { required_capabilities: 'x' } });
    expect(JSON.parse(printed(error, {}, 'json'))).toEqual({
      code: 'NOT_FOUND',
      reason: 'NO_AGENT',
      message: 'none',
      metadata: { required_capabilities: 'x' },
    });
    expect(JSON.parse(printed(new UsageError('no'), {}, 'json'))).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'USAGE' });
    expect(JSON.parse(printed(new Error('no'), {}, 'json'))).toMatchObject({ code: 'UNKNOWN', message: 'no' });
  });
});
