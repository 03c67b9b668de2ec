// An agent that runs in a process of its own and hangs on the cluster by one stream: no port, no node of its own.
//
//   npm run build && node dist/examples/attached/counter.js --address 127.0.0.1:8080
//   npx troupe run counting --text 'one two three' --stream
//   npx troupe request counter --text 'how many?'
import { parseArgs } from 'node:util';
import { connect } from 'troupe';

const { values } = parseArgs({
  options: { address: { type: 'string', default: '127.0.0.1:8080' }, id: { type: 'string', default: 'counter' } },
});

const troupe = connect(values.address);
let counted = 0;
const agent = await troupe.attachAgent({
  id: values.id,
  capabilities: ['counting'],
  topics: ['counting.reset'],
  concurrency: 4,
  // Counts the words of a text, line by line: whoever streams the task gets each line's count as it is known.
  run: async (task, ctx) => {
    let words = 0;
    for (const line of task.text().split('\n')) {
      ctx.signal.throwIfAborted();
      const inLine = line.split(/\s+/).filter((word) => word !== '').length;
      words += inLine;
      await ctx.emit({ line, words: inLine });
    }
    counted += words;
    return { words, by: ctx.agentId, on: ctx.nodeId };
  },
  receive: (message) => {
    if (message.topic === 'counting.reset') counted = 0;
    return { counted };
  },
});
console.log(JSON.stringify({ event: 'attached', id: agent.id, node: agent.nodeId }));

for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => void agent.close());
await agent.closed;
troupe.close();
