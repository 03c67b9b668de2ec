// Many nodes in one process: each is a real Membership (lease, renewals, jitter, fencing) without anything behind it. They share
// a few connections; on the registry each has its own keep-alive stream and, when asked, its own watch.

import { setMaxListeners } from 'node:events';
import { serveParent } from '../lib/child.mjs';
import { agentMessage, nodeId } from '../lib/cluster-data.mjs';

const CONNECTIONS = 2;
const JOINING_AT_ONCE = 8;
const POLL_MS = 250;

const { Membership } = await import('../../dist/src/discovery/membership.js');
const { RegistrySession } = await import('../../dist/src/discovery/registry-session.js');
const { RawClient } = await import('../../dist/src/rpc/raw-client.js');
const { oneChannel } = await import('../../dist/src/rpc/renewed-channel.js');
const { WatchRequest } = await import('../../dist/src/gen/troupe/v1/registry.js');
const { InstanceStatus } = await import('../../dist/src/gen/troupe/v1/instance.js');
const { systemClock } = await import('../../dist/src/core/clock.js');
const { systemRandom } = await import('../../dist/src/core/random.js');

const stopping = new AbortController();
setMaxListeners(0, stopping.signal);
let sessions = [];
const members = [];
let settings;
let warnings = 0;
let firstWarning;
const counts = { renewals: 0, watchMessages: 0, watchErrors: 0 };

const logger = {
  debug() {},
  info() {},
  warn(event, fields) {
    warnings += 1;
    firstWarning ??= `${event} ${JSON.stringify(fields ?? {})}`;
  },
  error: (event, fields) => logger.warn(event, fields),
  child: () => logger,
};

function startMember(number) {
  const session = sessions[number % sessions.length];
  const self = {
    id: nodeId(number),
    service: 'node',
    endpoint: { host: '127.0.0.1', port: 8765 },
    status: 'up',
    weight: 1,
    zone: 'default',
    capabilities: ['worker'],
    metadata: new Map([['version', '0.1.0']]),
    nodeId: '',
    registeredAtMs: 0,
    incarnation: 0n,
    revision: 0n,
  };
  const membership = new Membership(
    { registry: session, clock: systemClock, random: systemRandom, logger },
    { ttlMs: settings.ttlSeconds * 1000, self },
  );
  const member = { number, session, membership, done: membership.run(stopping.signal), fenceAtMs: 0 };
  members.push(member);
  return member;
}

/** Joins, then puts its agents under its lease: one call, as many as one transaction takes. */
async function join(number) {
  const { session, membership } = startMember(number);
  await membership.joined;
  const instances = Array.from({ length: settings.agents }, (_, index) => {
    const message = agentMessage(number, index);
    return { ...message, status: InstanceStatus[message.status], registeredAt: undefined };
  });
  const { leaseId } = membership.lease;
  for (let from = 0; from < instances.length; from += 100)
    await session.client.register({ instances: instances.slice(from, from + 100), leaseId }, { timeoutMs: 30_000 });
}

/** A renewal that was acknowledged moves the fence. */
function countRenewals() {
  for (const member of members) {
    const { lease } = member.membership;
    if (lease.kind !== 'held' || lease.fenceAtMs === member.fenceAtMs) continue;
    member.fenceAtMs = lease.fenceAtMs;
    counts.renewals += 1;
  }
}

async function drainWatch({ session }, fromRevision) {
  const request = Buffer.from(WatchRequest.encode(WatchRequest.fromPartial({ fromRevision })).finish());
  const call = new RawClient(oneChannel(session.channel)).serverStream('/troupe.v1.Registry/Watch', request, {
    deadlineMs: Number.POSITIVE_INFINITY,
    signal: stopping.signal,
  });
  try {
    for await (const _bytes of call) counts.watchMessages += 1;
  } catch (error) {
    if (!stopping.signal.aborted) {
      counts.watchErrors += 1;
      firstWarning ??= String(error);
    }
  }
}

serveParent({
  start: (params) => {
    settings = params;
    sessions = Array.from({ length: CONNECTIONS }, () => new RegistrySession([params.registry]));
    setInterval(countRenewals, POLL_MS).unref();
  },
  join: async () => {
    const waiting = settings.nodes.slice();
    const worker = async () => {
      for (let number = waiting.shift(); number !== undefined; number = waiting.shift()) await join(number);
    };
    await Promise.all(Array.from({ length: JOINING_AT_ONCE }, worker));
  },
  /** Each node watches the cluster, from `fromRevision` on. */
  watch: ({ fromRevision }) => {
    for (const member of members) void drainWatch(member, fromRevision);
  },
  counts: () => ({
    ...counts,
    held: members.filter(({ membership }) => !membership.isFenced).length,
    warnings,
    firstWarning,
  }),
  stop: async () => {
    stopping.abort();
    await Promise.all(members.map(({ done }) => done));
    for (const session of sessions) session.close();
  },
});
