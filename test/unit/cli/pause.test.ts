import { expect, test } from '@jest/globals';
import { pause } from '../../../src/cli/pause.js';
import { FakeClock, settle } from '../../support/fake-clock.js';
import { CapturedIo } from './captured-io.js';

function world() {
  const clock = new FakeClock();
  return { clock, io: Object.assign(new CapturedIo(), { clock }) };
}

test('lasts as long as it is told, by the clock of the command', async () => {
  const { clock, io } = world();
  let isOver = false;
  const paused = pause(io, 1_000).then(() => {
    isOver = true;
  });
  await clock.advance(999);
  await settle();
  expect(isOver).toBe(false);
  await clock.advance(1);
  await paused;
  expect(isOver).toBe(true);
});

test('ends with Ctrl-C, and leaves no timer', async () => {
  const { clock, io } = world();
  const paused = pause(io, 1_000);
  io.controller.abort();
  await expect(paused).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(clock.pending).toBe(0);
});
