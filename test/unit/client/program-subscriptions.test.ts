import { beforeEach, describe, expect, it } from '@jest/globals';
import { type Change, ProgramSubscriptions, TOPICS_AT_ONCE } from '../../../src/client/program-subscriptions.js';
import { TroupeError } from '../../../src/core/errors.js';
import { FakeClock, settle } from '../../support/fake-clock.js';

let clock: FakeClock;
let said: Change[];

beforeEach(() => {
  clock = new FakeClock();
  said = [];
});

const say = (change: Change) => said.push(change);
const changes = () => said.map(({ subscribe, unsubscribe }) => [subscribe, unsubscribe]);
const lastId = () => said.at(-1)?.id ?? 0n;

/** What became of a promise, so far. */
function outcomeOf(promise: Promise<unknown>): { is: string } {
  const outcome = { is: 'open' };
  promise.then(
    () => {
      outcome.is = 'done';
    },
    (error: TroupeError) => {
      outcome.is = error.reason;
    },
  );
  return outcome;
}

describe('ProgramSubscriptions', () => {
  it('make one change at a time: what is wanted meanwhile goes together', async () => {
    const subscriptions = new ProgramSubscriptions([], clock);
    subscriptions.attached(say, []);
    const a = outcomeOf(subscriptions.add('a'));
    const later = ['b', 'c.*'].map((topic) => outcomeOf(subscriptions.add(topic)));
    expect(changes()).toEqual([[['a'], []]]);
    subscriptions.told(['a'], lastId());
    await settle();
    expect(a.is).toBe('done');
    expect(changes().slice(1)).toEqual([[['b', 'c.*'], []]]);
    subscriptions.told(['a', 'b', 'c.*'], lastId());
    await settle();
    expect(later.map(({ is }) => is)).toEqual(['done', 'done']);
    expect(said).toHaveLength(2);
    await subscriptions.add('b');
    expect(said).toHaveLength(2);
  });

  it('end when the last who wanted them has cancelled, and wait for their end before they begin anew', async () => {
    const subscriptions = new ProgramSubscriptions([], clock);
    subscriptions.attached(say, []);
    const both = Promise.all([subscriptions.add('a'), subscriptions.add('a')]);
    subscriptions.told(['a'], lastId());
    const [first, second] = await both;
    first.cancel();
    first.cancel();
    expect(said).toHaveLength(1);
    second.cancel();
    expect(changes().slice(1)).toEqual([[[], ['a']]]);
    const again = outcomeOf(subscriptions.add('a'));
    await settle();
    expect(again.is).toBe('open');
    subscriptions.told([], lastId());
    expect(changes().slice(2)).toEqual([[['a'], []]]);
    subscriptions.told(['a'], lastId());
    await settle();
    expect(again.is).toBe('done');
  });

  it('say what the cluster has not taken, and keep nothing of it', async () => {
    const subscriptions = new ProgramSubscriptions([], clock);
    subscriptions.attached(say, []);
    const a = outcomeOf(subscriptions.add('a'));
    subscriptions.told([], lastId());
    await settle();
    expect(a.is).toBe('NOT_SUBSCRIBED');
    expect(clock.pending).toBe(0);
    expect(said).toHaveLength(1);
  });

  it('go on, and end, while one that was refused pauses', async () => {
    const subscriptions = new ProgramSubscriptions(['refused'], clock);
    subscriptions.attached(say, []);
    subscriptions.told([], lastId());
    await clock.advance(400);
    const adding = subscriptions.add('a');
    subscriptions.told(['a'], lastId());
    (await adding).cancel();
    subscriptions.told([], lastId());
    expect(changes()).toEqual([
      [['refused'], []],
      [['a'], []],
      [[], ['a']],
    ]);
    await clock.advance(599);
    expect(said).toHaveLength(3);
    await clock.advance(1);
    expect(changes().slice(3)).toEqual([[['refused'], []]]);
    subscriptions.told(['refused'], lastId());
    expect(clock.pending).toBe(0);
  });

  it('pause each by itself', async () => {
    const subscriptions = new ProgramSubscriptions(['early'], clock);
    subscriptions.attached(say, []);
    subscriptions.told([], lastId());
    await clock.advance(300);
    const early = outcomeOf(subscriptions.add('early'));
    const late = outcomeOf(subscriptions.add('late'));
    subscriptions.told([], lastId());
    const again = outcomeOf(subscriptions.add('late'));
    await settle();
    expect([early.is, late.is, again.is]).toEqual(['open', 'NOT_SUBSCRIBED', 'open']);
    await clock.advance(700);
    subscriptions.told(['early'], lastId());
    await clock.advance(299);
    expect(changes()).toEqual([
      [['early'], []],
      [['late'], []],
      [['early'], []],
    ]);
    await clock.advance(1);
    expect(changes().slice(3)).toEqual([[['late'], []]]);
    subscriptions.told(['early', 'late'], lastId());
    await settle();
    expect([early.is, again.is]).toEqual(['done', 'done']);
    expect(clock.pending).toBe(0);
  });

  it('are not kept out by as many as one change has that are refused again and again', async () => {
    const refused = Array.from({ length: TOPICS_AT_ONCE }, (_, n) => `refused-${n}`);
    const subscriptions = new ProgramSubscriptions([...refused, 'last'], clock);
    subscriptions.attached(say, []);
    subscriptions.told([], lastId());
    expect(changes()).toEqual([
      [refused, []],
      [['last'], []],
    ]);
    subscriptions.told([], lastId());
    await clock.advance(1_000);
    subscriptions.told([], lastId());
    expect(changes().slice(2)).toEqual([
      [refused, []],
      [['last'], []],
    ]);
    subscriptions.told(['last'], lastId());
    const added = outcomeOf(subscriptions.add('added'));
    subscriptions.told(['last', 'added'], lastId());
    await settle();
    expect(added.is).toBe('done');
    await clock.advance(1_000);
    expect(changes().slice(5)).toEqual([[refused, []]]);
  });

  it('are said again where the node does not have them any more', async () => {
    const subscriptions = new ProgramSubscriptions(['a', 'b'], clock);
    subscriptions.attached(say, ['a', 'b']);
    subscriptions.told(['b'], 0n);
    expect(changes()).toEqual([[['a'], []]]);
  });

  it('are those of before in a new session, 64 in its hello and the rest by changes; what is not taken is tried again', async () => {
    const topics = Array.from({ length: 3 * TOPICS_AT_ONCE }, (_, n) => `topic-${n}`);
    const subscriptions = new ProgramSubscriptions(topics, clock);
    const hello = subscriptions.helloTopics;
    expect(hello).toEqual(topics.slice(0, TOPICS_AT_ONCE));
    subscriptions.attached(say, hello);
    subscriptions.told(topics.slice(0, 2 * TOPICS_AT_ONCE), lastId());
    subscriptions.told(topics.slice(0, 2 * TOPICS_AT_ONCE), lastId());
    const last = topics.slice(2 * TOPICS_AT_ONCE);
    expect(changes()).toEqual([
      [topics.slice(TOPICS_AT_ONCE, 2 * TOPICS_AT_ONCE), []],
      [last, []],
    ]);
    await clock.advance(1_000);
    expect(changes().slice(2)).toEqual([[last, []]]);
    subscriptions.told(topics, lastId());
    expect(clock.pending).toBe(0);
  });

  it('say a change again that may have been lost, and take nothing else for its answer', async () => {
    const subscriptions = new ProgramSubscriptions([], clock);
    subscriptions.attached(say, []);
    const a = outcomeOf(subscriptions.add('a'));
    const lost = lastId();
    subscriptions.detached();
    subscriptions.attached(say, undefined);
    expect(changes()).toEqual([
      [['a'], []],
      [['a'], []],
    ]);
    for (const stray of [0n, lost]) subscriptions.told([], stray);
    await settle();
    expect(a.is).toBe('open');
    subscriptions.told(['a'], lastId());
    await settle();
    expect(a.is).toBe('done');
    expect(said).toHaveLength(2);
  });

  it('are waited for while there is no session, for at most 30 s', async () => {
    const subscriptions = new ProgramSubscriptions([], clock);
    const a = outcomeOf(subscriptions.add('a'));
    await clock.advance(29_000);
    const b = outcomeOf(subscriptions.add('b'));
    await clock.advance(1_000);
    expect([a.is, b.is]).toEqual(['NOT_SUBSCRIBED', 'open']);
    expect(subscriptions.helloTopics).toEqual(['b']);
    subscriptions.attached(say, ['b']);
    await settle();
    expect(b.is).toBe('done');
    expect(clock.pending).toBe(0);
  });

  it('end with the agent', async () => {
    const subscriptions = new ProgramSubscriptions([], clock);
    const a = outcomeOf(subscriptions.add('a'));
    subscriptions.close(new TroupeError('CANCELLED', 'CLOSED', 'closed'));
    await settle();
    expect(a.is).toBe('CLOSED');
    await expect(subscriptions.add('b')).rejects.toMatchObject({ reason: 'CLOSED' });
    expect(clock.pending).toBe(0);
  });

  it('refuse what is no pattern, and more than 1,000', async () => {
    const subscriptions = new ProgramSubscriptions([], clock);
    await expect(subscriptions.add('a..b')).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
    const all = Array.from({ length: 1_000 }, (_, n) => subscriptions.add(`t${n}`));
    await expect(subscriptions.add('one-more')).rejects.toMatchObject({ reason: 'TOO_MANY_TOPICS' });
    subscriptions.close(new TroupeError('CANCELLED', 'CLOSED', 'closed'));
    expect((await Promise.allSettled(all)).every(({ status }) => status === 'rejected')).toBe(true);
  });
});
