import { describe, expect, it } from '@jest/globals';
import { abortable, aborted, childController, delay } from '../../../src/core/abort.js';
import { TroupeError } from '../../../src/core/errors.js';
import { FakeClock, settle } from '../../support/fake-clock.js';

const reason = new TroupeError('CANCELLED', 'DRAINING', 'the node drains');

describe('delay', () => {
  it('resolves when the time has passed, and not before', async () => {
    const clock = new FakeClock();
    let passed = false;
    const waiting = delay(100, new AbortController().signal, clock).then(() => {
      passed = true;
    });
    await clock.advance(99);
    expect(passed).toBe(false);
    await clock.advance(1);
    expect(passed).toBe(true);
    await waiting;
  });

  it('throws the reason when the signal aborts first, and leaves no timer', async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    const waiting = delay(100, controller.signal, clock);
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(clock.pending).toBe(0);
  });

  it('throws at once when the signal has aborted already', async () => {
    const clock = new FakeClock();
    await expect(delay(100, AbortSignal.abort(reason), clock)).rejects.toBe(reason);
    expect(clock.pending).toBe(0);
  });
});

describe('abortable', () => {
  it('gives what the work gives', async () => {
    await expect(abortable(Promise.resolve(7), new AbortController().signal)).resolves.toBe(7);
  });

  it('throws what the work throws', async () => {
    const broken = new Error('broken');
    await expect(abortable(Promise.reject(broken), new AbortController().signal)).rejects.toBe(broken);
  });

  it('ends the wait when the signal aborts, and swallows what the work throws later', async () => {
    const controller = new AbortController();
    let breakWork: (error: Error) => void = () => undefined;
    const work = new Promise<never>((_resolve, reject) => {
      breakWork = reject;
    });
    const waiting = abortable(work, controller.signal);
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    breakWork(new Error('too late to matter'));
    await settle();
  });

  it('does not wait when the signal has aborted already, and swallows what the work throws', async () => {
    await expect(abortable(Promise.reject(new Error('broken')), AbortSignal.abort(reason))).rejects.toBe(reason);
    await settle();
  });
});

describe('aborted', () => {
  it('resolves when the signal aborts', async () => {
    const controller = new AbortController();
    let resolved = false;
    const waiting = aborted(controller.signal).then(() => {
      resolved = true;
    });
    await settle();
    expect(resolved).toBe(false);
    controller.abort();
    await waiting;
  });

  it('resolves at once when it has aborted already', async () => {
    await expect(aborted(AbortSignal.abort())).resolves.toBeUndefined();
  });
});

describe('childController', () => {
  it('aborts with its parent, for the same reason', () => {
    const parent = new AbortController();
    const { controller } = childController(parent.signal);
    expect(controller.signal.aborted).toBe(false);
    parent.abort(reason);
    expect(controller.signal.reason).toBe(reason);
  });

  it('is aborted from the start where the parent is', () => {
    expect(childController(AbortSignal.abort(reason)).controller.signal.reason).toBe(reason);
  });

  it('leaves its parent alone when it aborts', () => {
    const parent = new AbortController();
    childController(parent.signal).controller.abort();
    expect(parent.signal.aborted).toBe(false);
  });

  it('no longer follows its parent once released', () => {
    const parent = new AbortController();
    const { controller, release } = childController(parent.signal);
    release();
    parent.abort();
    expect(controller.signal.aborted).toBe(false);
  });
});
