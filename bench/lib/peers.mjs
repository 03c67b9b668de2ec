// The parent's side of a peer of the bench of messages: its processes, and the uniform interface that all peers are loaded by.
import { cpuMsOf } from './machine.mjs';

const SUBSCRIBERS = 100;
const SUBSCRIBER_PROCESSES = 4;
const role = (name) => new URL(`../roles/${name}.mjs`, import.meta.url);

/**
 * Starts what a peer needs for requests, and when it is asked to broadcast for the first time what that needs.
 *
 * @param start `start(module, params)` gives a `Child` and stops it in the end
 * @param options `role`: the file with the parts (`parts.mjs`). `serverRole`: where the server is in another one. `options`: for
 *   every part. `link(ids)`: what the parts with these ids must know to find each other, for every part. `brokerPid`: of the process
 *   between them. `requests`, `broadcasts`: whether it can.
 * @returns `{run({inFlight, seconds, payloadBytes}), runAt({perSecond, seconds, payloadBytes}), broadcast({inFlight, seconds,
 *   payloadBytes}), cpuMs()}`; those that it cannot are missing
 */
export async function startPeer(start, { role: file, serverRole = file, options, link, brokerPid, requests, broadcasts }) {
  const children = [];
  const startPart = async (name, params) => {
    const child = await start(role(name), { ...options, ...params });
    children.push(child);
    return child;
  };
  const linked = async (ids) => ({ ids, ...(await link?.(ids)) });

  const startRequests = async () => {
    const common = await linked(['server', 'client']);
    const server = await startPart(serverRole, { part: 'server', id: 'server', ...common });
    return startPart(file, { part: 'client', id: 'client', server: server.info, ...common });
  };

  const startBroadcast = async () => {
    const ids = Array.from({ length: SUBSCRIBER_PROCESSES }, (_, index) => `subscribers-${index}`);
    const common = await linked([...ids, 'publisher']);
    const count = SUBSCRIBERS / SUBSCRIBER_PROCESSES;
    const subscribers = [];
    for (const [index, id] of ids.entries()) {
      subscribers.push((await startPart(file, { part: 'subscribers', id, index, count, ...common })).info);
    }
    return startPart(file, { part: 'publisher', id: 'publisher', count, subscribers, ...common });
  };

  const client = requests ? await startRequests() : undefined;
  let publisher;
  return {
    ...(requests && {
      run: (load) => client.call('run', load),
      runAt: (load) => client.call('runAt', load),
    }),
    ...(broadcasts && {
      broadcast: async (load) => {
        publisher ??= startBroadcast();
        const { publications, perSecond } = await (await publisher).call('broadcast', load);
        return { calls: publications * SUBSCRIBERS, perSecond: perSecond * SUBSCRIBERS };
      },
    }),
    /** Of all its processes. */
    cpuMs: async () => {
      const used = await Promise.all(children.map((child) => child.cpu()));
      return used.reduce((sum, us) => sum + us / 1000, 0) + (brokerPid === undefined ? 0 : (cpuMsOf(brokerPid) ?? 0));
    },
  };
}
