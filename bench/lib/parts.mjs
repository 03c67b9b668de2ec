// The child's side of a peer of the bench of messages: what a role file must do, and the loads it gets for it.
import { serveParent } from './child.mjs';
import { closedLoop, deliveryCounter, openLoop, PublisherLoop } from './load-loops.mjs';

/**
 * Serves the parts of a peer, each in a process of its own. Each gives `{info}`, what the parts that start after it get to know, and:
 *
 * - `server(params)`: answers each request with its own payload.
 * - `client({server, …})`: `send(payload, done)`, which sends a request and calls `done(error)` once its answer is there.
 * - `subscribers({index, count, …}, counter)`: has `count` subscribers that call `counter.delivered()` for what they get, and sets
 *   `counter.report(publications)`, which tells the publisher.
 * - `publisher({subscribers, …}, reported)`: `publish(payload)`, to all subscribers of all processes; calls
 *   `reported(index, publications)` for what comes from a report.
 *
 * `server` and `subscribers` are the info of these parts. `stop()` where there is something to end; `payload` is what `payloadOf`
 * makes of a number of bytes, once for each load.
 */
export function serveParts(parts, payloadOf = (bytes) => Buffer.alloc(bytes, 'x')) {
  let started;
  let loop;
  const withPayload = ({ payloadBytes, ...load }) => ({ ...load, payload: payloadOf(payloadBytes) });
  serveParent({
    start: async ({ part, ...params }) => {
      if (part === 'subscribers') {
        started = await parts.subscribers(params, deliveryCounter(params.count));
      } else if (part === 'publisher') {
        loop = new PublisherLoop(params.subscribers.length);
        started = await parts.publisher(params, (index, publications) => loop.reported(index, publications));
      } else {
        started = await parts[part](params);
      }
      return started.info ?? {};
    },
    run: (load) => closedLoop(started.send, withPayload(load)),
    runAt: (load) => openLoop(started.send, withPayload(load)),
    broadcast: (load) => loop.run(started.publish, withPayload(load)),
    stop: () => started?.stop?.(),
  });
}
