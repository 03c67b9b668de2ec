import { PassThrough, Writable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { ExitError } from '../../../src/cli/errors.js';
import { processIo } from '../../../src/cli/process-io.js';

/** A process whose streams fail with `code` when they are written to. */
function failing(code: string) {
  const broken = () =>
    new Writable({ write: (_chunk, _encoding, done) => done(Object.assign(new Error(code), { code })), autoDestroy: false });
  return { stdin: new PassThrough(), stdout: broken(), stderr: broken(), env: { A: 'b' } };
}

describe('processIo', () => {
  test('a reader of the output that goes away calls the command off, with exit code 0', async () => {
    const io = processIo({ interrupted: new AbortController().signal, version: '1', process: failing('EPIPE') });
    const aborted = new Promise((resolve) => io.signal.addEventListener('abort', resolve));
    io.stdout('one\n');
    await aborted;
    expect(io.signal.reason).toEqual(new ExitError(0));
    io.stdout('two\n');
  });

  test('a reader of the errors that goes away changes nothing', async () => {
    const io = processIo({ interrupted: new AbortController().signal, version: '1', process: failing('EPIPE') });
    io.stderr('one\n');
    await new Promise((resolve) => setImmediate(resolve));
    expect(io.signal.aborted).toBe(false);
  });

  test('aborts with the signal of the process', () => {
    const controller = new AbortController();
    const io = processIo({ interrupted: controller.signal, version: '1', process: failing('EPIPE') });
    controller.abort();
    expect(io.signal.aborted).toBe(true);
  });

  test('hands on what the process has', () => {
    const stdout = Object.assign(new PassThrough(), { isTTY: true });
    const io = processIo({ interrupted: new AbortController().signal, version: '1', process: { ...failing('EPIPE'), stdout } });
    io.stdout('text ');
    io.stdout(Buffer.from('bytes'));
    expect(stdout.read()?.toString()).toBe('text bytes');
    expect(io).toMatchObject({ isTTY: true, errorIsTTY: false, env: { A: 'b' }, version: '1' });
  });
});
