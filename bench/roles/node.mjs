// A node in a process of its own.
import { startBenchNode } from '../lib/bench-node.mjs';
import { serveParent } from '../lib/child.mjs';

let node;
serveParent({
  start: async (given) => {
    node = await startBenchNode(given);
    return { address: node.address };
  },
  stop: () => node?.stop(),
});
