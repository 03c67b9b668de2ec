import { beforeEach, describe, expect, it } from '@jest/globals';
import { TroupeError } from '../../../src/core/errors.js';
import { PARTS_WINDOW, Parts } from '../../../src/core/parts.js';

let demanded: number;
let calledOff: TroupeError | undefined;
const source = {
  demand: (parts: number) => {
    demanded += parts;
  },
  cancel: (error: TroupeError) => {
    calledOff = error;
  },
};

beforeEach(() => {
  demanded = 0;
  calledOff = undefined;
});

describe('Parts', () => {
  it('gives the parts in order, then the answer as the value of the end', async () => {
    const parts = new Parts<number>();
    const reading = parts.read(source, undefined);
    const first = reading.next();
    parts.part(1);
    expect(await first).toEqual({ done: false, value: 1 });
    parts.part(2);
    parts.answered(3);
    expect(await reading.next()).toEqual({ done: false, value: 2 });
    expect(await reading.next()).toEqual({ done: true, value: 3 });
    expect(calledOff).toBeUndefined();
  });

  it('asks for as many more as have been read, half a window at a time', async () => {
    const parts = new Parts<number>();
    for (let n = 0; n < PARTS_WINDOW; n++) parts.part(n);
    const reading = parts.read(source, undefined);
    for (let n = 0; n < PARTS_WINDOW / 2 - 1; n++) await reading.next();
    expect(demanded).toBe(0);
    await reading.next();
    expect(demanded).toBe(PARTS_WINDOW / 2);
  });

  it('gives what came before a failure, then throws it', async () => {
    const parts = new Parts<number>();
    parts.part(1);
    parts.failed(new TroupeError('ABORTED', 'LOST', 'lost'));
    const reading = parts.read(source, undefined);
    expect(await reading.next()).toEqual({ done: false, value: 1 });
    await expect(reading.next()).rejects.toMatchObject({ reason: 'LOST' });
    expect(calledOff).toBeUndefined();
  });

  it('calls the rest off when its reader leaves, or its signal aborts', async () => {
    const parts = new Parts<number>();
    parts.part(1);
    const reading = parts.read(source, undefined);
    await reading.next();
    await reading.return(0);
    expect(calledOff).toMatchObject({ code: 'CANCELLED' });
    calledOff = undefined;
    const controller = new AbortController();
    const other = new Parts<number>();
    const waiting = other.read({ ...source, cancel: (error) => other.failed(error) }, controller.signal).next();
    controller.abort(new TroupeError('CANCELLED', 'ENOUGH', 'enough'));
    await expect(waiting).rejects.toMatchObject({ reason: 'ENOUGH' });
  });
});
