// Watchers of the registry, and the one who changes something: in one process, so that one clock measures both.
import { setMaxListeners } from 'node:events';
import { serveParent } from '../lib/child.mjs';
import { quantile } from '../lib/stats.mjs';

const { RegistrySession } = await import('../../dist/src/discovery/registry-session.js');
const { RawClient } = await import('../../dist/src/rpc/raw-client.js');
const { oneChannel } = await import('../../dist/src/rpc/renewed-channel.js');
const { WatchRequest, WatchResponse } = await import('../../dist/src/gen/troupe/v1/registry.js');
const { InstanceStatus } = await import('../../dist/src/gen/troupe/v1/instance.js');
const { durationFromMs } = await import('../../dist/src/rpc/codec/time.js');

const CONNECTIONS = 4;
const GAP_MS = 20;
const KEY = { service: 'bench', id: 'bench-1' };

let sessions = [];
let leaseId;
const stopping = new AbortController();
setMaxListeners(0, stopping.signal);

async function* watchFrom(session, fromRevision) {
  const request = Buffer.from(WatchRequest.encode(WatchRequest.fromPartial({ fromRevision })).finish());
  yield* new RawClient(oneChannel(session.channel)).serverStream('/troupe.v1.Registry/Watch', request, {
    deadlineMs: Number.POSITIVE_INFINITY,
    signal: stopping.signal,
  });
}

serveParent({
  start: async ({ registry }) => {
    sessions = Array.from({ length: CONNECTIONS }, () => new RegistrySession([registry]));
    const { client } = sessions[0];
    const registered = await client.register(
      {
        instances: [{ ...KEY, status: InstanceStatus.INSTANCE_STATUS_UP, weight: 1, endpoint: { host: '127.0.0.1', port: 1 } }],
        ttl: durationFromMs(600_000),
      },
      { timeoutMs: 10_000 },
    );
    leaseId = registered.leaseId;
  },
  stats: () => sessions[0].client.getStats({}, { timeoutMs: 10_000 }),
  /** Milliseconds from asking for a snapshot of everything to its last part, undecoded. */
  snapshot: async () => {
    const startMs = performance.now();
    let bytes = 0;
    for await (const part of watchFrom(sessions[0], 0n)) {
      const { event } = WatchResponse.decode(part);
      if (event.$case !== 'snapshot') break;
      bytes += part.length;
      if (event.value.last) break;
    }
    return { ms: performance.now() - startMs, bytes };
  },
  /** Milliseconds from sending UpdateInstance to its answer, and to when each watcher had the change. */
  latency: async ({ watchers, changes }) => {
    const { revision: fromRevision } = await sessions[0].client.getStats({}, { timeoutMs: 10_000 });
    const seen = [];
    let sentMs = 0;
    let weight = 0;
    let onAll = () => undefined;
    let missing = 0;
    const streams = Array.from({ length: watchers }, async (_, index) => {
      for await (const part of watchFrom(sessions[index % CONNECTIONS], fromRevision)) {
        const atMs = performance.now();
        const { event } = WatchResponse.decode(part);
        if (event.$case !== 'changes') continue;
        const mine = event.value.changes.some(
          ({ change }) => change.$case === 'put' && change.value.id === KEY.id && change.value.weight === weight,
        );
        if (!mine) continue;
        seen.push(atMs - sentMs);
        missing -= 1;
        if (missing === 0) onAll();
      }
    });
    for (const stream of streams) stream.catch(() => undefined);
    // The first message of a watcher may still be under way: its turn comes with the first change, which does not count.
    const answered = [];
    for (let i = 0; i <= changes; i++) {
      if (i === 1) {
        seen.length = 0;
        answered.length = 0;
      }
      weight = 1 + ((weight + 1) % 999);
      missing = watchers;
      const all = new Promise((resolve, reject) => {
        onAll = resolve;
        setTimeout(() => reject(new Error(`${missing} of ${watchers} watchers have not seen a change for 20 s`)), 20_000).unref();
      });
      sentMs = performance.now();
      await sessions[0].client.updateInstance({ key: KEY, leaseId, weight }, { timeoutMs: 20_000 });
      answered.push(performance.now() - sentMs);
      await all;
      await new Promise((resolve) => setTimeout(resolve, GAP_MS));
    }
    return {
      updateP50Ms: quantile(answered, 0.5),
      seenP50Ms: quantile(seen, 0.5),
      seenP99Ms: quantile(seen, 0.99),
      seenMaxMs: Math.max(...seen),
    };
  },
  stop: () => {
    stopping.abort();
    for (const session of sessions) session.close();
  },
});
