import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import type { AgentMessage } from '../../src/agent/messages.js';
import type { TroupeError } from '../../src/core/errors.js';
import { eventually } from '../support/eventually.js';
import { percentile, reportFigures } from '../support/figures.js';
import { MessageCluster } from '../support/message-nodes.js';
import { seededRandom, testSeed } from '../support/seeded-random.js';

const CUTS = 20;
const SENDERS = 4;

const endOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'done',
    (error: TroupeError) => `${error.code}/${error.reason}`,
  );

describe(`a link that is cut again and again under messages (seed ${testSeed})`, () => {
  it('reorders none, repeats none that may not be repeated, and says of which nobody knows whether they arrived', async () => {
    const cluster = await MessageCluster.start(2);
    const random = seededRandom(testSeed);
    const got = { plain: [] as string[], careful: [] as string[] };
    const kind = (texts: string[]) => ({
      mailboxCapacity: 100_000,
      receive: (message: AgentMessage) => void texts.push(message.text().split(' ')[0] ?? ''),
    });
    await cluster.node(2).deploy('plain', kind(got.plain));
    await cluster.node(2).deploy('careful', kind(got.careful));
    let isOver = false;
    const ends: { readonly to: 'plain' | 'careful'; readonly name: string; readonly end: string }[] = [];
    const talk = async (to: 'plain' | 'careful', from: string) => {
      const sender = cluster.node(1).sender(from);
      for (let n = 0; !isOver; ) {
        const sends: Promise<unknown>[] = [];
        for (let burst = Math.ceil(random.next() * 20); burst > 0; burst--, n++) {
          const name = `${from}:${n}`;
          const text = `${name} ${'x'.repeat(random.next() < 0.05 ? 200_000 : 50)}`;
          const sent = endOf(sender.send(to, text, { atLeastOnce: to === 'careful', timeoutMs: 10_000 }));
          sends.push(sent.then((end) => ends.push({ to, name, end })));
        }
        await Promise.all(sends);
        await delay(1);
      }
    };
    const talking = Array.from({ length: SENDERS }, (_, n) => [talk('plain', `p${n}`), talk('careful', `c${n}`)]).flat();
    const healedMs: number[] = [];
    for (let cut = 0; cut < CUTS; cut++) {
      await delay(50 + random.next() * 100);
      const done = ends.filter(({ end }) => end === 'done').length;
      const cutAt = performance.now();
      cluster.proxies[1]?.cut();
      await eventually(() => expect(ends.filter(({ end }) => end === 'done').length).toBeGreaterThan(done + 20));
      healedMs.push(performance.now() - cutAt);
    }
    isOver = true;
    await Promise.all(talking);

    const of = (to: string, end: string) => ends.filter((each) => each.to === to && each.end === end);
    const arrived = new Set(got.plain);
    const unknown = of('plain', 'ABORTED/OUTCOME_UNKNOWN');
    const unsent = ends.filter(({ to, end }) => to === 'plain' && end.startsWith('UNAVAILABLE'));
    const count = (texts: readonly string[]) => texts.length - new Set(texts).size;
    const outOfOrder = [got.plain, got.careful].flatMap((texts) =>
      Array.from({ length: SENDERS }, (_, n) => texts.filter((text) => text.slice(1).startsWith(`${n}:`)))
        .map((each) => each.map((text) => Number(text.split(':')[1])))
        .filter((numbers) => numbers.some((number, index) => index > 0 && number < (numbers[index - 1] ?? 0))),
    ).length;
    await reportFigures('messages-cut', {
      cuts: CUTS,
      messages: ends.length,
      'acknowledged but lost': of('plain', 'done').filter(({ name }) => !arrived.has(name)).length,
      'refused but arrived': unsent.filter(({ name }) => arrived.has(name)).length,
      'sent once: unknown outcomes': unknown.length,
      'of these arrived': unknown.filter(({ name }) => arrived.has(name)).length,
      'sent once: came twice': count(got.plain),
      'sent at least once: lost': of('careful', 'done').length - new Set(got.careful).size,
      'sent at least once: came twice': count(got.careful),
      'senders whose messages changed places': outOfOrder,
      '20 more acknowledged after a cut, p50 (ms)': percentile(healedMs, 50),
      '20 more acknowledged after a cut, max (ms)': percentile(healedMs, 100),
    });
    expect(of('plain', 'done').filter(({ name }) => !arrived.has(name))).toEqual([]);
    expect(unsent.filter(({ name }) => arrived.has(name))).toEqual([]);
    expect([count(got.plain), count(got.careful), outOfOrder]).toEqual([0, 0, 0]);
    expect(new Set(got.careful).size).toBe(of('careful', 'done').length);
    const others = ends.filter(({ to, end }) => end !== 'done' && !(to === 'plain' && /OUTCOME_UNKNOWN|^UNAVAILABLE/.test(end)));
    expect(others).toEqual([]);
    expect(of('plain', 'done').length).toBeGreaterThan(500);
    expect(of('careful', 'done').length).toBeGreaterThan(200);
  }, 60_000);
});
