// Agents that tell what reached them as messages. Plain JavaScript against the built package, as a user writes it.
import { setTimeout as delay } from 'node:timers/promises';
import { defineAgent, TroupeError } from 'troupe';

const seen = (message) => ({
  kind: message.kind,
  id: message.id,
  from: message.from,
  topic: message.topic,
  headers: Object.fromEntries(message.headers),
  text: message.text(),
});

/** What the narrow agents of this process began, and why they stopped. */
const begun = [];
const stopped = [];

/**
 * Keeps what it is sent. Asked for "list" it tells all of that, for "narrow" what the narrow agents of its process did, for "fail" it fails,
 * and for anything else it tells what it was asked.
 */
export const keeper = defineAgent({
  kind: 'keeper',
  capabilities: ['keeping'],
  topics: ['orders.*', 'news.>'],
  mailboxCapacity: 10_000,
  start: () => [],
  receive: (message, ctx) => {
    if (message.kind === 'send') {
      ctx.state.push(seen(message));
      return undefined;
    }
    if (message.text() === 'list') return ctx.state;
    if (message.text() === 'narrow') return { begun, stopped };
    if (message.text() === 'fail') throw new TroupeError('FAILED_PRECONDITION', 'NO_MODEL', 'train it first');
    return seen(message);
  },
  run: () => null,
});

/** Has room for one message beside the one that it works on, for 10 s unless nobody waits any more. */
export const narrow = defineAgent({
  kind: 'narrow',
  capabilities: ['narrowness'],
  topics: ['narrow'],
  mailboxCapacity: 1,
  receive: async (message, ctx) => {
    begun.push(message.text());
    await delay(10_000, undefined, { signal: ctx.signal }).catch(() =>
      stopped.push(`${message.text()}: ${ctx.signal.reason.code}`),
    );
    if (message.kind === 'request') ctx.signal.throwIfAborted();
  },
  run: () => null,
});

/** Fails at every message. */
export const clumsy = defineAgent({
  kind: 'clumsy',
  capabilities: ['clumsiness'],
  receive: () => {
    throw new TroupeError('INTERNAL', 'DROPPED_IT', 'it slipped');
  },
  run: () => null,
});

/** Takes no messages. */
export const deaf = defineAgent({ kind: 'deaf', capabilities: ['deafness'], run: () => null });
