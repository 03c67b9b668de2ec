import { describe, expect, test } from '@jest/globals';
import { RegistrySession } from '../../../src/discovery/registry-session.js';
import { replicaAddresses } from '../../../src/discovery/replica-addresses.js';
import { cleanUp } from '../../support/clean-up.js';
import { FakeClock } from '../../support/fake-clock.js';

/** What names stand for; changed by tests. */
type Names = Record<string, readonly string[]>;

const lookUpIn = (names: Names) => async (host: string) => {
  const found = names[host];
  if (found === undefined) throw new Error(`nobody knows ${host}`);
  return found;
};
/** Takes the first of what is left each time. */
const first = { next: () => 0 };

describe('the addresses of replicas', () => {
  test.each([
    ['an address', ['10.0.0.1:8000'], ['10.0.0.1:8000']],
    ['an address of IPv6', ['[::1]:8000'], ['[::1]:8000']],
    ['a name with one address stays a name', ['one:8000'], ['one:8000']],
    ['a name with several', ['three:8000'], ['10.0.0.1:8000', '10.0.0.2:8000', '10.0.0.3:8000']],
    ['a name with several of IPv6', ['six:8000'], ['[fd00::1]:8000', '[fd00::2]:8000']],
    ['the same from two names', ['three:8000', '10.0.0.2:8000'], ['10.0.0.1:8000', '10.0.0.2:8000', '10.0.0.3:8000']],
  ])('%s', async (_, addresses, expected) => {
    const names = { one: ['10.0.0.9'], three: ['10.0.0.1', '10.0.0.2', '10.0.0.3'], six: ['fd00::1', 'fd00::2'] };
    expect(await replicaAddresses(addresses, { random: first, lookUp: lookUpIn(names) })).toEqual(expected);
  });

  test('come in an order of chance', async () => {
    const last = { next: () => 0.999 };
    const lookUp = lookUpIn({ three: ['10.0.0.1', '10.0.0.2', '10.0.0.3'] });
    expect(await replicaAddresses(['three:1'], { random: last, lookUp })).toEqual(['10.0.0.3:1', '10.0.0.2:1', '10.0.0.1:1']);
  });
});

describe('a session with the registries behind a name', () => {
  test('uses one of them, turns to the others, and asks all', async () => {
    const { session, signal } = sessionOf({ registry: ['10.0.0.1', '10.0.0.2'] });
    expect(session.address).toBe('registry:8000');
    await session.lookUpNames(signal);
    expect(session.address).toBe('10.0.0.1:8000');
    expect(session.clients).toHaveLength(2);
    session.turnFrom(session.client);
    expect(session.address).toBe('10.0.0.2:8000');
    session.turnFrom(session.client);
    expect(session.address).toBe('10.0.0.1:8000');
  });

  test('stays with one that works when the name stands for others, and then turns to those', async () => {
    const { session, signal, names, clock } = sessionOf({ registry: ['10.0.0.1', '10.0.0.2'] });
    await session.lookUpNames(signal);
    const following = session.follow(signal);
    const { client, clients } = session;
    names.registry = ['10.0.0.2', '10.0.0.3'];
    await clock.advance(5_000);
    expect(session.client).toBe(client);
    expect(session.clients).toHaveLength(2);
    // The connection to the one that is still there is kept.
    expect(session.clients).toContain(clients[1]);
    session.turnFrom(client);
    expect(session.address).toBe('10.0.0.2:8000');
    session.turnFrom(session.client);
    expect(session.address).toBe('10.0.0.3:8000');
    session.turnFrom(session.client);
    expect(session.address).toBe('10.0.0.2:8000');
    await end(following);
  });

  test('keeps what it knows while nobody answers for names', async () => {
    const { session, signal, names, clock } = sessionOf({ registry: ['10.0.0.1', '10.0.0.2'] });
    await session.lookUpNames(signal);
    const following = session.follow(signal);
    const { clients } = session;
    delete names.registry;
    await clock.advance(5_000);
    expect(session.clients).toEqual(clients);
    await end(following);
  });

  test('opens the connection anew to one that fell silent, and turns from it', async () => {
    const { session, signal } = sessionOf({ registry: ['10.0.0.1', '10.0.0.2'] });
    await session.lookUpNames(signal);
    const { client, channel } = session;
    session.abandon(client);
    expect(session.address).toBe('10.0.0.2:8000');
    expect(session.clients).not.toContain(client);
    session.turnFrom(session.client);
    expect(session.address).toBe('10.0.0.1:8000');
    expect(session.channel).not.toBe(channel);
    // A late word about the old connection changes nothing.
    session.abandon(client);
    expect(session.address).toBe('10.0.0.1:8000');
  });

  test('has one alone to go back to, on a new connection', () => {
    const { session } = sessionOf({});
    const { client } = session;
    session.turnFrom(client);
    expect(session.client).toBe(client);
    session.abandon(client);
    expect(session.client).not.toBe(client);
    expect(session.address).toBe('registry:8000');
  });
});

const controllers: AbortController[] = [];

async function end(following: Promise<void>): Promise<void> {
  for (const controller of controllers.splice(0)) controller.abort();
  await following;
}

function sessionOf(names: Names) {
  const controller = new AbortController();
  controllers.push(controller);
  const clock = new FakeClock();
  const session = new RegistrySession(['registry:8000'], { clock, random: first, lookUp: lookUpIn(names) });
  cleanUp(() => session.close());
  return { session, names, clock, signal: controller.signal };
}
