import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { transformFile } from '@swc/core';
import { silentLogger } from '../../../src/telemetry/logger.js';
import { ROOT, startProcess } from '../../support/processes.js';

/** Runs `statements`, which have `createLogger`, in a process of their own: what it wrote on both outputs. */
async function run(statements: string): Promise<{ stdout: string[]; logs: Record<string, unknown>[] }> {
  const { code } = await transformFile(join(ROOT, 'src', 'telemetry', 'logger.ts'), {
    jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
    module: { type: 'es6' },
  });
  const child = startProcess(process.execPath, ['--input-type=module', '--eval', `${code}\n${statements}`]);
  expect(await child.exit).toEqual({ code: 0, signal: null });
  return { stdout: child.lines, logs: child.logs };
}

describe('createLogger', () => {
  it('writes one JSON line an event on standard error, and nothing on standard output', async () => {
    const { stdout, logs } = await run(`
      const logger = createLogger({ level: 'debug' });
      logger.debug('task accepted');
      logger.info('instance expired', { instanceId: 'node-1', attempt: 2 });
      logger.warn('lease late');
      logger.error('store failed', { error: new TypeError('no such key') });
    `);
    expect(stdout).toEqual([]);
    expect(logs.map(({ time: _time, ...event }) => event)).toEqual([
      { level: 'debug', msg: 'task accepted' },
      { level: 'info', msg: 'instance expired', instanceId: 'node-1', attempt: 2 },
      { level: 'warn', msg: 'lease late' },
      {
        level: 'error',
        msg: 'store failed',
        error: { type: 'TypeError', message: 'no such key', stack: expect.stringContaining('TypeError: no such key') },
      },
    ]);
    for (const { time } of logs) expect(time).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
  });

  it('adds the fields it was made with to every event, and those of a child to the events of the child', async () => {
    const { logs } = await run(`
      const logger = createLogger({ level: 'info', fields: { role: 'node' } });
      const child = logger.child({ agentId: 'echo-1' });
      logger.info('joined');
      child.info('activated', { kind: 'echo' });
      child.child({ taskId: 'task-1' }).info('done');
    `);
    expect(logs.map(({ time: _time, level: _level, ...event }) => event)).toEqual([
      { msg: 'joined', role: 'node' },
      { msg: 'activated', role: 'node', agentId: 'echo-1', kind: 'echo' },
      { msg: 'done', role: 'node', agentId: 'echo-1', taskId: 'task-1' },
    ]);
  });

  it.each([
    ['debug', ['debug', 'info', 'warn', 'error']],
    ['info', ['info', 'warn', 'error']],
    ['warn', ['warn', 'error']],
    ['error', ['error']],
    ['silent', []],
  ])('at level %s writes %j', async (level, expected) => {
    const { logs } = await run(`
      const logger = createLogger({ level: '${level}' });
      for (const name of ['debug', 'info', 'warn', 'error']) logger[name]('something happened');
    `);
    expect(logs.map((event) => event.level)).toEqual(expected);
  });

  it('has written every event when the process ends at once', async () => {
    const { logs } = await run(`
      const logger = createLogger({ level: 'info' });
      for (let i = 0; i < 200; i++) logger.info('counted', { i });
      process.exit(0);
    `);
    expect(logs.map((event) => event.i)).toEqual(Array.from({ length: 200 }, (_, i) => i));
  });
});

describe('silentLogger', () => {
  it('is its own child', () => {
    expect(silentLogger.child({ agentId: 'echo-1' })).toBe(silentLogger);
  });
});
