import { EventEmitter } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { OpenRequest, OpenResponse } from '../../../src/gen/troupe/internal/v1/link.js';
import { FramePool } from '../../../src/link/frame-pool.js';
import { FrameQueue } from '../../../src/link/frame-queue.js';
import { LinkSession, type LinkStream } from '../../../src/link/link-session.js';
import { LinkTraffic } from '../../../src/link/link-traffic.js';
import { encodeMessage } from '../../../src/rpc/encode.js';
import { FakeClock, settle } from '../../support/fake-clock.js';

const said = ($case: 'ping' | 'pong') =>
  encodeMessage(OpenResponse, { envelopes: [], tasks: [], outcomes: [], credit: 0, control: { $case, value: {} } });

/** A clock whose timers can be held up, as those of a process that is blocked are. */
class BlockableClock extends FakeClock {
  lateMs = 0;

  override monotonicMs(): number {
    return super.monotonicMs() + this.lateMs;
  }
}

/** The end that opened a link, and what it writes. */
function opened() {
  const clock = new BlockableClock();
  const written: (string | undefined)[] = [];
  const ends: string[] = [];
  const stream = Object.assign(new EventEmitter(), {
    write(bytes: Buffer, done: () => void): void {
      written.push(OpenRequest.decode(bytes).control?.$case);
      setImmediate(done);
    },
    end: () => void written.push('end'),
    cancel: () => undefined,
  });
  const nothing = () => undefined;
  const traffic = new LinkTraffic();
  const session = new LinkSession(
    stream as unknown as LinkStream,
    true,
    { clock, traffic },
    {
      ...{ hello: nothing, welcome: nothing, envelope: nothing, task: nothing, outcome: nothing, drains: nothing },
      ended: (_, { reason }) => ends.push(reason),
    },
  );
  return { clock, session, stream, written, ends, traffic };
}

describe('a link', () => {
  it('whose other end does not answer is given up after 10 s', async () => {
    const { clock, written, ends } = opened();
    await clock.advance(9_999);
    expect([written, ends]).toEqual([['ping'], []]);
    await clock.advance(1);
    await settle();
    expect(ends).toEqual(['LINK_SILENT']);
  });

  it('counts envelopes when they are written, not when they are queued', async () => {
    const { session, traffic } = opened();
    const queue = new FrameQueue(new FramePool());
    session.begin(queue, 50);
    for (let id = 1; id <= 3; id++) queue.task(id, Buffer.alloc(40));
    session.flushSoon();
    await settle();
    queue.task(4, Buffer.alloc(40));
    session.flushSoon();
    await settle();
    // There is no credit for the fourth.
    expect(traffic.sentEnvelopes).toBe(3);
    session.credit(200);
    await settle();
    expect(traffic.sentEnvelopes).toBe(4);
  });

  it('is asked, not given up, where it was this process that was blocked', async () => {
    const { clock, stream, written, ends } = opened();
    clock.lateMs = 5_100;
    await clock.advance(5_000);
    await settle();
    expect([written, ends]).toEqual([['ping'], []]);
    stream.emit('data', said('pong'));
    await clock.advance(5_000);
    expect(ends).toEqual([]);
  });

  it('whose answer has come while this process was blocked is heard before it is judged', async () => {
    const { clock, stream, ends } = opened();
    await clock.advance(9_999);
    setImmediate(() => stream.emit('data', said('pong')));
    await clock.advance(1);
    await settle();
    expect(ends).toEqual([]);
  });

  it('writes nothing once its side has ended', async () => {
    const { session, stream, written, ends } = opened();
    session.finish();
    await settle();
    stream.emit('data', said('ping'));
    await settle();
    expect([written, ends]).toEqual([['end'], []]);
  });
});
