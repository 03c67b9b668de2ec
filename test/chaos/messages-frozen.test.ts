import { describe, expect, it } from '@jest/globals';
import type { TroupeClient } from '../../src/client/client.js';
import type { TroupeError } from '../../src/core/errors.js';
import type { JsonObject } from '../../src/core/json.js';
import { payloadJson } from '../../src/core/payload.js';
import { Arrivals } from '../support/arrivals.js';
import { startChaosCluster } from '../support/chaos-cluster.js';
import { eventually } from '../support/eventually.js';
import { percentile, reportFigures } from '../support/figures.js';
import { nowMs } from '../support/history.js';
import { seededRandom, testSeed } from '../support/seeded-random.js';

const MIB = 1024 * 1024;
/** By the link; what awaits each small message takes more than the message. */
const MAX_HELD_MIB = 16;
const FLOOD_MS = 4_000;
const TIMEOUT_MS = 2_000;
/** What callers of another process may hear after a deadline. */
const LATE_MS = 500;

interface Asked {
  readonly atMs: number;
  readonly ms: number;
  readonly end: string;
}

async function tell<T>(troupe: TroupeClient, agentId: string, what: JsonObject): Promise<T> {
  return payloadJson((await troupe.run([], what, { agentId })).payload) as T;
}

function asker(troupe: TroupeClient, to: string, asked: Asked[]) {
  return async () => {
    const atMs = nowMs();
    const end = await troupe.request(to, { n: 1 }, { timeoutMs: TIMEOUT_MS }).then(
      () => 'done',
      (error: TroupeError) => error.code as string,
    );
    asked.push({ atMs, ms: nowMs() - atMs, end });
  };
}

describe(`a node that is frozen under messages (seed ${testSeed})`, () => {
  it('keeps no request beyond its deadline and no other agent from answering, and a sender that floods it holds little', async () => {
    const { nodes, troupe } = await startChaosCluster(3);
    const frozen = nodes.slice(1);
    await troupe.deploy({ id: 'talker', kind: 'talker' }, 'node-1');
    await troupe.deploy({ id: 'other', kind: 'listener' }, 'node-1');
    await troupe.deploy({ id: 'victim', kind: 'listener' }, 'node-3');
    await troupe.deploy({ id: 'second', kind: 'listener' }, 'node-2');
    const asked = { victim: [] as Asked[], other: [] as Asked[] };
    const random = seededRandom(testSeed);
    const arrivals = (['victim', 'other'] as const).map((to) => new Arrivals(50, random, asker(troupe, to, asked[to])));
    await eventually(() => expect(asked.victim.filter(({ end }) => end === 'done').length).toBeGreaterThan(50));
    for (const to of ['victim', 'second']) await tell(troupe, 'talker', { do: 'send', to, count: 100 });

    const frozenAtMs = nowMs();
    for (const { process } of frozen) await process.kill('SIGSTOP');
    const floods = [];
    for (const [to, size, burst] of [
      ['victim', 64 * 1024, 20],
      ['second', 200, 400],
    ] as const)
      floods.push(
        await tell<{ sent: number; ends: Record<string, number>; heldBytes: number }>(troupe, 'talker', {
          ...{ do: 'flood', to, size, burst, ms: FLOOD_MS / 2, timeoutMs: 20_000 },
        }),
      );
    const thawedAtMs = nowMs();
    for (const { process } of frozen) await process.kill('SIGCONT');
    const isBack = ({ atMs, end }: Asked) => atMs > thawedAtMs && end === 'done';
    await eventually(() => expect(asked.victim.filter(isBack).length).toBeGreaterThan(20), { timeoutMs: 10_000 });
    const backMs = Math.min(...asked.victim.filter(isBack).map(({ atMs, ms }) => atMs + ms - thawedAtMs));
    await Promise.all(arrivals.map((each) => each.stop()));

    const whileFrozen = ({ atMs }: Asked) => atMs > frozenAtMs && atMs < thawedAtMs;
    const stuck = asked.victim.filter(whileFrozen);
    const others = asked.other.filter(whileFrozen);
    await reportFigures('messages-frozen', {
      'frozen (ms)': thawedAtMs - frozenAtMs,
      'requests to it meanwhile': stuck.length,
      [`their longest answer (ms, deadline ${TIMEOUT_MS})`]: Math.max(...stuck.map(({ ms }) => ms)),
      'requests to others meanwhile': others.length,
      'of these failed': others.filter(({ end }) => end !== 'done').length,
      'p99 of others (ms)': percentile(
        others.map(({ ms }) => ms),
        99,
      ),
      'messages of 64 KiB sent in the flood': floods[0]?.sent ?? 0,
      'refused of these, as the link was full': floods[0]?.ends['UNAVAILABLE/LINK_FULL'] ?? 0,
      'held for it by the sender (MiB)': (floods[0]?.heldBytes ?? 0) / MIB,
      'messages of 200 bytes sent in the flood': floods[1]?.sent ?? 0,
      'refused of these': floods[1]?.ends['UNAVAILABLE/LINK_FULL'] ?? 0,
      'held for these, with what awaits each, by the sender (MiB)': (floods[1]?.heldBytes ?? 0) / MIB,
      'answers again after it went on (ms)': backMs,
    });
    expect(stuck.length).toBeGreaterThan(100);
    expect(Math.max(...stuck.map(({ ms }) => ms))).toBeLessThan(TIMEOUT_MS + LATE_MS);
    expect(others.length).toBeGreaterThan(100);
    expect(others.filter(({ end }) => end !== 'done')).toEqual([]);
    expect(floods[0]?.ends['UNAVAILABLE/LINK_FULL']).toBeGreaterThan(100);
    expect((floods[0]?.heldBytes ?? 0) / MIB).toBeLessThan(MAX_HELD_MIB);
  }, 60_000);
});
