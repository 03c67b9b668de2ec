import { describe, expect, it } from '@jest/globals';
import { aborted } from '../../../src/core/abort.js';
import { type Runner, runGroup } from '../../../src/core/run-group.js';
import { settle } from '../../support/fake-clock.js';

const forever: Runner = (signal) => aborted(signal);

describe('runGroup', () => {
  it('runs until the signal aborts, and gives the reason to every runner', async () => {
    const controller = new AbortController();
    const reasons: unknown[] = [];
    const runner: Runner = async (signal) => {
      await aborted(signal);
      reasons.push(signal.reason);
    };
    const group = runGroup([runner, runner], controller.signal);
    controller.abort('drain');
    await group;
    expect(reasons).toEqual(['drain', 'drain']);
  });

  it('tells runners at once when the signal has aborted already', async () => {
    await expect(runGroup([forever, forever], AbortSignal.abort())).resolves.toBeUndefined();
  });

  it('ends the others when one ends', async () => {
    await expect(runGroup([forever, async () => undefined], new AbortController().signal)).resolves.toBeUndefined();
  });

  it('waits until the last one has cleaned up', async () => {
    let finish: () => void = () => undefined;
    const slow: Runner = async (signal) => {
      await aborted(signal);
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
    };
    let ended = false;
    const group = runGroup([slow, async () => undefined], new AbortController().signal).then(() => {
      ended = true;
    });
    await settle();
    expect(ended).toBe(false);
    finish();
    await group;
  });

  it('throws what the first runner to throw threw, whatever its place', async () => {
    const cause = new Error('the port is taken');
    const consequence: Runner = async (signal) => {
      await aborted(signal);
      throw new Error('told to end');
    };
    const fails: Runner = async () => {
      throw cause;
    };
    await expect(runGroup([consequence, fails, forever], new AbortController().signal)).rejects.toBe(cause);
  });

  it('ends the others when a runner throws before it returns a promise', async () => {
    const cause = new Error('no configuration');
    const fails = () => {
      throw cause;
    };
    await expect(runGroup([forever, fails], new AbortController().signal)).rejects.toBe(cause);
  });

  it('is done at once when there is nothing to run', async () => {
    await expect(runGroup([], new AbortController().signal)).resolves.toBeUndefined();
  });
});
