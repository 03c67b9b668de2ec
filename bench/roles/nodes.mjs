// Several nodes in one process, each of a cluster of its own: what luck the process has (addresses, inlining, neighbours) all of them have.
import { startBenchNode } from '../lib/bench-node.mjs';
import { serveParent } from '../lib/child.mjs';

const nodes = [];
serveParent({
  start: async ({ all, exportEveryMs }) => {
    // Read by OpenTelemetry when it is set up.
    process.env.OTEL_BSP_SCHEDULE_DELAY = String(exportEveryMs);
    for (const given of all) nodes.push(await startBenchNode(given));
    return { addresses: nodes.map(({ address }) => address) };
  },
  stop: () => Promise.all(nodes.map((node) => node.stop())),
});
