// Moleculer as it comes, but for its log: its JSON, its contexts, its registry; over TCP from node to node or over NATS. A broadcast
// goes once to each node, which gives it to its services: one service for each subscriber.
import { setTimeout as wait } from 'node:timers/promises';
import { ServiceBroker } from 'moleculer';
import { lengthError } from '../lib/batched-frames.mjs';
import { serveParts } from '../lib/parts.mjs';

const START_MS = 20_000;

/** A node with these services. `urls`: of all nodes, for TCP; `broker`: the NATS to use. */
async function startNode({ id, ids, urls, broker }, services) {
  const node = new ServiceBroker({
    nodeID: id,
    // Two groups of nodes at one NATS do not see each other.
    namespace: ids.join('-'),
    logger: false,
    transporter:
      urls === undefined
        ? { type: 'NATS', options: { servers: broker } }
        : { type: 'TCP', options: { udpDiscovery: false, urls } },
  });
  for (const service of services) node.createService(service);
  await node.start();
  return node;
}

const subscriberName = (index, i) => `subscriber-${index}-${i}`;

serveParts(
  {
    server: async (params) => {
      const node = await startNode(params, [{ name: 'echo', actions: { echo: (context) => context.params } }]);
      return { stop: () => node.stop() };
    },
    client: async (params) => {
      const node = await startNode(params, []);
      await node.waitForServices('echo', START_MS);
      const send = (payload, done) => {
        node.call('echo.echo', payload).then((answer) => done(lengthError(payload.text.length, answer.text.length)), done);
      };
      return { send, stop: () => node.stop() };
    },
    subscribers: async (params, counter) => {
      const services = Array.from({ length: params.count }, (_, i) => ({
        name: subscriberName(params.index, i),
        events: { 'bench.news': (_context) => counter.delivered() },
      }));
      services.push({
        name: `greeter-${params.index}`,
        events: { 'bench.hello': (_context) => node.emit('bench.ready', params.index) },
      });
      const node = await startNode(params, services);
      counter.report = (publications) => void node.emit('bench.report', { index: params.index, publications });
      return { stop: () => node.stop() };
    },
    publisher: async (params, reported) => {
      const report = ({ params: { index, publications } }) => reported(index, publications);
      const ready = new Set();
      const events = { 'bench.report': (context) => report(context), 'bench.ready': (context) => ready.add(context.params) };
      const node = await startNode(params, [{ name: 'publisher', events }]);
      const names = params.subscribers.flatMap((_, index) =>
        Array.from({ length: params.count }, (_, i) => subscriberName(index, i)),
      );
      await node.waitForServices(names, START_MS);
      // The others learn of this node later than it learns of them; reports before that would go nowhere.
      while (ready.size < params.subscribers.length) {
        await node.broadcast('bench.hello');
        await wait(100);
      }
      return { publish: (payload) => void node.broadcast('bench.news', payload), stop: () => node.stop() };
    },
  },
  (bytes) => ({ text: 'x'.repeat(bytes) }),
);
