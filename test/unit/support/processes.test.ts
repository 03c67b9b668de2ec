import { afterAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../../support/eventually.js';
import { startProcess } from '../../support/processes.js';

const node = (script: string) => startProcess(process.execPath, ['--eval', script]);
const STAY = 'setInterval(() => undefined, 1000);';

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('startProcess', () => {
  it('finds the ready line among others', async () => {
    const child = node(`console.log('hello'); console.log('{"event":"ready","port":4711}'); ${STAY}`);
    expect(await child.ready()).toEqual({ event: 'ready', port: 4711 });
    expect(child.lines[0]).toBe('hello');
  });

  it('says what a process printed that ends before it is ready', async () => {
    const child = node(`console.error('the port is taken'); process.exitCode = 3;`);
    await expect(child.ready()).rejects.toThrow(/ended with 3.*the port is taken/s);
    expect(await child.exit).toEqual({ code: 3, signal: null });
  });

  it('says so when the line does not come', async () => {
    await expect(node(STAY).ready(50)).rejects.toThrow('printed no such line within 50 ms');
  });

  it('says so when there is no such command', async () => {
    await expect(startProcess('no-such-command', []).ready()).rejects.toThrow('ENOENT');
  });

  it('waits for the end after a signal', async () => {
    const child = node(`process.once('SIGTERM', () => process.exit(7)); console.log('{"event":"ready"}'); ${STAY}`);
    await child.ready();
    expect(await child.kill('SIGTERM')).toEqual({ code: 7, signal: null });
  });

  describe('after a test that leaves a process and a grandchild behind', () => {
    const leftBehind: number[] = [];

    it('has started them', async () => {
      const child = node(`
        const { spawn } = require('node:child_process');
        const grandchild = spawn(process.execPath, ['--eval', '${STAY}']);
        console.log(JSON.stringify({ event: 'ready', pid: grandchild.pid }));
        ${STAY}
      `);
      const { pid } = await child.ready();
      leftBehind.push(child.pid, Number(pid));
      expect(leftBehind.every(isAlive)).toBe(true);
    });

    // The kill itself is a hook after each test, which comes before this one.
    afterAll(() => eventually(() => expect(leftBehind.filter(isAlive)).toEqual([])));
  });
});
