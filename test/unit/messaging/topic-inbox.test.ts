import { describe, expect, it } from '@jest/globals';
import { TroupeError } from '../../../src/core/errors.js';
import { FrameContent } from '../../../src/link/frame-content.js';
import { InboxSpace, TopicInbox } from '../../../src/messaging/topic-inbox.js';
import { Delivery, type Origin } from '../../../src/runtime/delivery.js';

const lost: Delivery[] = [];
const origin: Origin = {
  taken: () => undefined,
  refused: () => undefined,
  answered: () => undefined,
  failed: () => undefined,
  part: async () => undefined,
  lost: (delivery) => void lost.push(delivery),
};

const message = (id: string, bytes = 1) =>
  new Delivery(
    {
      kind: 'send',
      correlationId: 0,
      id,
      from: 'a',
      to: '',
      topic: 'news',
      deadlineMs: 0,
      headers: new Map(),
      waitForRoom: false,
      fromNode: '',
      demand: 0,
      content: new FrameContent(Buffer.alloc(bytes), 0, bytes),
    },
    origin,
  );

const ids = async (inbox: TopicInbox, count: number) => {
  const read: string[] = [];
  for await (const { id } of inbox.deliveries()) {
    read.push(id);
    if (read.length === count) break;
  }
  return read;
};

describe('the inbox of a subscriber', () => {
  it('gives what came, in order, and waits for more', async () => {
    const inbox = new TopicInbox('client-1', new InboxSpace());
    expect(inbox.offer(message('1'))).toBeUndefined();
    const reading = ids(inbox, 3);
    inbox.offer(message('2'));
    inbox.offer(message('3'));
    expect(await reading).toEqual(['1', '2', '3']);
  });

  it('refuses the 1,001st message that waits, until one is read', async () => {
    const inbox = new TopicInbox('client-1', new InboxSpace());
    for (let n = 0; n < 1_000; n++) expect(inbox.offer(message(String(n)))).toBeUndefined();
    expect(inbox.offer(message('late'))).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'MAILBOX_FULL' });
    await ids(inbox, 1);
    expect(inbox.offer(message('next'))).toBeUndefined();
  });

  it('refuses what would make it more than 8 MiB', () => {
    const inbox = new TopicInbox('client-1', new InboxSpace());
    expect(inbox.offer(message('1', 4 * 1024 * 1024))).toBeUndefined();
    expect(inbox.offer(message('2', 4 * 1024 * 1024))).toMatchObject({ reason: 'MAILBOX_FULL' });
    expect(inbox.offer(message('3', 3 * 1024 * 1024))).toBeUndefined();
  });

  it('shares 128 MiB with all others', () => {
    const space = new InboxSpace();
    const inboxes = Array.from({ length: 40 }, (_, n) => new TopicInbox(`client-${n}`, space));
    const refused = inboxes.filter((inbox) => inbox.offer(message('1', 4 * 1024 * 1024)) !== undefined);
    expect(refused).toHaveLength(40 - 31);
    for (const inbox of inboxes) inbox.close();
    expect(space.bytes).toBe(0);
  });

  it('tells that what waits is lost when its reader has gone, and takes no more', async () => {
    const inbox = new TopicInbox('client-1', new InboxSpace());
    inbox.offer(message('1'));
    lost.length = 0;
    inbox.close();
    expect(lost.map(({ id }) => id)).toEqual(['1']);
    expect(inbox.offer(message('2'))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await ids(inbox, 1)).toEqual([]);
  });

  it('lets what waits be read before it fails', async () => {
    const inbox = new TopicInbox('client-1', new InboxSpace());
    inbox.offer(message('1'));
    inbox.fail(new TroupeError('UNAVAILABLE', 'DRAINING', 'ends'));
    expect(inbox.offer(message('2'))).toBeInstanceOf(TroupeError);
    expect(await ids(inbox, 1)).toEqual(['1']);
    await expect(ids(inbox, 1)).rejects.toMatchObject({ reason: 'DRAINING' });
  });
});
