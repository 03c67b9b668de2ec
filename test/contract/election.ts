import { beforeEach, describe, expect, it } from '@jest/globals';
import { aborted } from '../../src/core/abort.js';
import { systemClock } from '../../src/core/clock.js';
import { Election, type Term } from '../../src/store/election.js';
import type { Store } from '../../src/store/store.js';
import { cleanUp } from '../support/clean-up.js';
import { eventually } from '../support/eventually.js';
import { FakeClock } from '../support/fake-clock.js';
import { recordingLogger } from '../support/recording-logger.js';
import { seededRandom, testSeed } from '../support/seeded-random.js';

/** A candidate's own way to the store that all of them share. */
export interface StoreConnection {
  readonly store: Store;
  /** From now on nothing gets through, and nobody is told. */
  cut(): void;
  mend(): void;
}

export interface ElectionSubject {
  /** The suite closes its store. */
  connect(): Promise<StoreConnection>;
}

const TTL_SECONDS = 2;
/** The lease's life, what etcd takes to notice its end, and time for the campaign on a machine under load. */
const SUCCESSION_MS = 8_000;
/** Without waiting for a lease. */
const HANDOVER_MS = 1_500;

let runs = 0;

/** What `Election` promises on a store. */
export function testElectionContract(name: string, subject: () => ElectionSubject): void {
  describe(`an election on ${name}`, () => {
    let key: string;
    let candidates: Candidate[];

    beforeEach(() => {
      runs += 1;
      key = `/election-${runs}/leaders/registry`;
      candidates = [];
    });

    class Candidate {
      readonly logger = recordingLogger();
      readonly terms: Term[] = [];
      /** When its last term began. */
      leadsSinceMs = Number.NaN;
      readonly election: Election;
      private readonly controller = new AbortController();
      private readonly running: Promise<void>;

      constructor(
        readonly connection: StoreConnection,
        id: string,
        clock = systemClock,
        work: (term: Term) => Promise<void> = ({ signal }) => aborted(signal),
      ) {
        const deps = { store: connection.store, clock, random: seededRandom(testSeed), logger: this.logger };
        this.election = new Election(deps, { key, candidate: id, ttlSeconds: TTL_SECONDS });
        const lead = (term: Term) => {
          this.terms.push(term);
          this.leadsSinceMs = performance.now();
          return work(term);
        };
        this.running = this.election.run(lead, this.controller.signal);
        candidates.push(this);
      }

      get isLeading(): boolean {
        return this.election.isLeading;
      }

      get term(): Term {
        const term = this.terms.at(-1);
        if (term === undefined) throw new Error('it has never led');
        return term;
      }

      /** Whether a transaction of its last term would be done. */
      async writes(): Promise<boolean> {
        const write = { kind: 'put' as const, key: `${key}-work`, value: Buffer.from('x'), leaseId: 0n };
        return (await this.connection.store.txn([this.term.token], [write])).applied;
      }

      async stop(): Promise<void> {
        this.controller.abort();
        await this.running;
      }
    }

    async function candidate(id: string, ...more: [clock?: FakeClock, work?: (term: Term) => Promise<void>]): Promise<Candidate> {
      const connection = await subject().connect();
      const made = new Candidate(connection, id, ...more);
      cleanUp(async () => {
        await made.stop();
        await connection.store.close();
      });
      return made;
    }

    async function elected(id: string, clock?: FakeClock): Promise<Candidate> {
      const made = await candidate(id, clock);
      await eventually(() => expect(made.isLeading).toBe(true));
      return made;
    }

    it('has one leader among many, which stays', async () => {
      await Promise.all(Array.from({ length: 5 }, (_, i) => candidate(`c${i}`)));
      await eventually(() => expect(candidates.filter(({ isLeading }) => isLeading)).toHaveLength(1));
      const from = performance.now();
      await eventually(
        () => {
          expect(candidates.flatMap(({ terms }) => terms)).toHaveLength(1);
          expect(candidates.filter(({ isLeading }) => isLeading)).toHaveLength(1);
          expect(performance.now() - from).toBeGreaterThan(TTL_SECONDS * 1_500);
        },
        { timeoutMs: 10_000 },
      );
    });

    it('says in the store who leads, under a lease', async () => {
      const { term, connection } = await elected('one');
      const entry = await connection.store.get(key);
      expect(Buffer.from(entry?.value ?? []).toString()).toBe('one');
      expect(entry?.leaseId).not.toBe(0n);
      expect(term.token).toEqual({ key, modRevision: entry?.modRevision });
    });

    it('lets the leader write, and nobody before or after it', async () => {
      const one = await elected('one');
      const two = await candidate('two');
      await expect(one.writes()).resolves.toBe(true);
      await one.stop();
      await eventually(() => expect(two.isLeading).toBe(true));
      await expect(one.writes()).resolves.toBe(false);
      await expect(two.writes()).resolves.toBe(true);
    });

    it('has a successor at once when the leader resigns', async () => {
      const one = await elected('one');
      const two = await candidate('two');
      const from = performance.now();
      await one.stop();
      expect(one.isLeading).toBe(false);
      expect(one.term.signal.aborted).toBe(true);
      await eventually(() => expect(two.isLeading).toBe(true));
      expect(performance.now() - from).toBeLessThan(HANDOVER_MS);
    });

    it('has a successor when the lease of the leader is taken away, and the leader learns of it', async () => {
      const one = await elected('one');
      const two = await candidate('two');
      const entry = await one.connection.store.get(key);
      await one.connection.store.leases.revoke(entry?.leaseId ?? 0n);
      await eventually(() => expect(two.isLeading).toBe(true));
      await eventually(() => expect(one.isLeading).toBe(false));
      await expect(one.writes()).resolves.toBe(false);
      expect(one.logger.lines).toContainEqual(expect.objectContaining({ event: 'leadership lost' }));
    });

    it('has a successor when the key is deleted by hand though its lease lives', async () => {
      const one = await elected('one');
      const two = await candidate('two');
      await one.connection.store.txn([], [{ kind: 'delete', key }]);
      await eventually(() => expect(two.isLeading).toBe(true));
      await eventually(() => expect(one.isLeading).toBe(false));
      await expect(two.writes()).resolves.toBe(true);
    });

    it('has a successor when the leader is frozen; what that one would write then is refused, and it goes on as a candidate', async () => {
      const clock = new FakeClock();
      const frozen = await elected('frozen', clock);
      const two = await candidate('two');
      await eventually(() => expect(two.isLeading).toBe(true), { timeoutMs: SUCCESSION_MS });
      // It has not noticed yet, as its timers have not come.
      expect(frozen.isLeading).toBe(true);
      await expect(frozen.writes()).resolves.toBe(false);
      await expect(two.writes()).resolves.toBe(true);
      await clock.advance(TTL_SECONDS * 1_000);
      expect(frozen.isLeading).toBe(false);
      expect(frozen.term.signal.aborted).toBe(true);
      await two.stop();
      await eventually(async () => {
        await clock.advance(1_000);
        expect(frozen.terms.length).toBeGreaterThan(1);
        // Its clock may run ahead of a busy store's answers, and then it gives a term up by itself and stands again.
        await expect(frozen.writes()).resolves.toBe(true);
      });
    });

    it('a leader that loses the store ends its term before its lease can have expired, and a successor comes', async () => {
      const one = await elected('one');
      const two = await candidate('two');
      let endedAtMs = Number.POSITIVE_INFINITY;
      one.term.signal.addEventListener('abort', () => {
        endedAtMs = performance.now();
      });
      one.connection.cut();
      await eventually(() => expect(two.isLeading).toBe(true), { timeoutMs: SUCCESSION_MS });
      expect(endedAtMs).toBeLessThan(two.leadsSinceMs);
      expect(one.isLeading).toBe(false);
      one.connection.mend();
      await two.stop();
      await eventually(() => expect(one.isLeading).toBe(true), { timeoutMs: 15_000 });
      await expect(one.writes()).resolves.toBe(true);
    });

    it('a candidate that loses the store while it waits takes part again when it is back', async () => {
      const one = await elected('one');
      const two = await candidate('two');
      two.connection.cut();
      await one.stop();
      two.connection.mend();
      await eventually(() => expect(two.isLeading).toBe(true), { timeoutMs: 15_000 });
    });

    it('goes on after work that fails, and says so', async () => {
      let works = 0;
      const one = await candidate('one', undefined, async ({ signal }) => {
        works += 1;
        if (works === 1) throw new Error('no disk');
        await aborted(signal);
      });
      await eventually(() => expect(one.terms).toHaveLength(2));
      await eventually(() => expect(one.isLeading).toBe(true));
      expect(one.logger.lines).toContainEqual(
        expect.objectContaining({ level: 'warn', fields: { reason: 'no disk' }, event: expect.stringContaining('failed') }),
      );
    });

    it('leaves no lease and no key behind', async () => {
      const one = await elected('one');
      const entry = await one.connection.store.get(key);
      await one.stop();
      await expect(one.connection.store.get(key)).resolves.toBeUndefined();
      await expect(one.connection.store.leases.timeToLive(entry?.leaseId ?? 0n)).resolves.toBeUndefined();
    });
  });
}
