import { describe, expect, it } from '@jest/globals';
import type { TaskEvent } from '../../../src/client/result.js';
import { type ResumePoint, resuming } from '../../../src/client/resuming-stream.js';
import { TroupeError } from '../../../src/core/errors.js';
import { notJoined } from '../../../src/discovery/not-joined.js';

const DROPPED = new TroupeError('UNAVAILABLE', 'UNAVAILABLE', 'Connection dropped');
const UNKNOWN_STREAM = new TroupeError('NOT_FOUND', 'UNKNOWN_STREAM', 'no such stream');

const event = (cursor: bigint, kind: 'accepted' | 'routed' | 'chunk' | 'result'): TaskEvent =>
  ({ taskId: 'task-1', cursor, kind, nodeId: 'node-1', agentId: 'a', attempt: 1, sequence: cursor }) as unknown as TaskEvent;

/** Streams that give events and then break, one for each opening. */
function script(...streams: (readonly (TaskEvent | TroupeError)[])[]) {
  const opened: (ResumePoint | undefined)[] = [];
  let pings = 0;
  const read = async (more: { idempotent?: boolean; windowMs?: number; unreachable?: number; signal?: AbortSignal } = {}) => {
    const got: string[] = [];
    let refusals = more.unreachable ?? 0;
    const events = resuming({
      async *open(from) {
        opened.push(from);
        for (const each of streams[opened.length - 1] ?? []) {
          if (each instanceof TroupeError) throw each;
          yield each;
        }
      },
      ready: async () => {
        pings += 1;
        if (refusals > 0) {
          refusals -= 1;
          throw new TroupeError('UNAVAILABLE', 'NOT_CONNECTED', 'refused');
        }
      },
      windowMs: more.windowMs ?? 10_000,
      idempotent: more.idempotent ?? false,
      signal: more.signal,
    });
    for await (const { cursor, kind } of events) got.push(`${cursor} ${kind}`);
    return got;
  };
  return { read, opened, pings: () => pings };
}

describe('a stream whose connection breaks', () => {
  it('goes on after the last event that came, on the node that was named', async () => {
    const { read, opened } = script(
      [event(1n, 'accepted'), event(2n, 'routed'), event(3n, 'chunk'), DROPPED],
      [event(4n, 'chunk'), DROPPED],
      [event(5n, 'result')],
    );
    expect(await read()).toEqual(['1 accepted', '2 routed', '3 chunk', '4 chunk', '5 result']);
    expect(opened).toEqual([undefined, { nodeId: 'node-1', afterCursor: 3n }, { nodeId: 'node-1', afterCursor: 4n }]);
  });

  it('goes on before an agent was named', async () => {
    const { read, opened } = script([event(1n, 'accepted'), DROPPED], [event(2n, 'routed'), event(3n, 'result')]);
    expect(await read()).toEqual(['1 accepted', '2 routed', '3 result']);
    expect(opened[1]).toEqual({ nodeId: '', afterCursor: 1n });
  });

  it('waits until its address is reached again', async () => {
    const { read, pings } = script([event(1n, 'accepted'), DROPPED], [event(2n, 'result')]);
    expect(await read({ unreachable: 3 })).toEqual(['1 accepted', '2 result']);
    expect(pings()).toBe(4);
  });

  it('ends with OUTCOME_UNKNOWN when that takes longer than its window', async () => {
    const { read } = script([event(1n, 'accepted'), DROPPED]);
    await expect(read({ unreachable: 1_000, windowMs: 50 })).rejects.toMatchObject({
      code: 'ABORTED',
      reason: 'OUTCOME_UNKNOWN',
    });
  });

  it('ends with OUTCOME_UNKNOWN when its address is reached again and again, and nothing comes of it', async () => {
    const { read, opened } = script([event(1n, 'accepted'), DROPPED], ...Array.from({ length: 1_000 }, () => [DROPPED]));
    await expect(read({ windowMs: 300 })).rejects.toMatchObject({ code: 'ABORTED', reason: 'OUTCOME_UNKNOWN' });
    expect(opened.length).toBeLessThan(30);
  });

  it('goes on where a router is met that has not seen the cluster yet, and that has not started is not said of its task', async () => {
    const { read } = script([event(1n, 'accepted'), DROPPED], [notJoined()], [notJoined()], [event(2n, 'result')]);
    expect(await read()).toEqual(['1 accepted', '2 result']);
    const never = script([event(1n, 'accepted'), DROPPED], ...Array.from({ length: 1_000 }, () => [notJoined()]));
    const lost = { reason: 'OUTCOME_UNKNOWN', metadata: {}, cause: { reason: 'NOT_JOINED' } };
    const error = await never.read({ windowMs: 100 }).catch((caught: unknown) => caught);
    expect(error).toMatchObject(lost);
    expect(error).not.toHaveProperty('metadata.started');
  });

  it('ends with OUTCOME_UNKNOWN when nobody knows it any more, or begins anew where it is idempotent and gave nothing yet', async () => {
    const streams = () =>
      script(
        [event(1n, 'accepted'), event(2n, 'routed'), DROPPED],
        [UNKNOWN_STREAM],
        [event(1n, 'accepted'), event(2n, 'routed'), event(3n, 'chunk'), event(4n, 'result')],
      );
    await expect(streams().read()).rejects.toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
    const again = streams();
    expect(await again.read({ idempotent: true })).toEqual([
      '1 accepted',
      '2 routed',
      '1 accepted',
      '2 routed',
      '3 chunk',
      '4 result',
    ]);
    expect(again.opened[2]).toBeUndefined();
    const half = script([event(1n, 'accepted'), event(2n, 'routed'), event(3n, 'chunk'), DROPPED], [UNKNOWN_STREAM]);
    await expect(half.read({ idempotent: true })).rejects.toMatchObject({ reason: 'OUTCOME_UNKNOWN' });
  });
});

describe('a stream that ends', () => {
  it.each([
    ['with an error of the task', new TroupeError('UNKNOWN', 'AGENT_ERROR', 'no')],
    ['with a deadline', new TroupeError('DEADLINE_EXCEEDED', 'DEADLINE_EXCEEDED', 'late')],
  ])('%s is not opened again', async (_what, error) => {
    const { read, opened } = script([event(1n, 'accepted'), error]);
    await expect(read()).rejects.toBe(error);
    expect(opened).toHaveLength(1);
  });

  it('without a result has failed', async () => {
    await expect(script([event(1n, 'accepted')]).read()).rejects.toMatchObject({ code: 'INTERNAL', reason: 'NO_RESULT' });
  });

  it('before its first event, without a window, or by its caller, is not opened again', async () => {
    await expect(script([DROPPED]).read()).rejects.toBe(DROPPED);
    const refused = notJoined();
    await expect(script([refused]).read()).rejects.toBe(refused);
    await expect(script([event(1n, 'accepted'), refused]).read()).rejects.toBe(refused);
    await expect(script([event(1n, 'accepted'), DROPPED]).read({ windowMs: 0 })).rejects.toBe(DROPPED);
    const signal = AbortSignal.abort();
    await expect(script([event(1n, 'accepted'), DROPPED]).read({ signal })).rejects.toBe(DROPPED);
  });
});
