// `make bench`: runs the benches in turn. `node bench/run.mjs --help` tells more; bench/README.md says how to read the figures.
import { parseArgs } from 'node:util';
import { say } from './lib/report.mjs';

const BENCHES = ['tasks', 'telemetry', 'messaging', 'pick', 'routing', 'view', 'heartbeats', 'attached'];

const HELP = `Usage: node bench/run.mjs [bench ...] [options]

Benches: ${BENCHES.join(', ')}; all of them when none is named. Needs a build (make build).

  --quick           shorter and smaller: for a look, not for figures
  --rounds <n>      interleaved rounds, of which the medians count (3)
  --seconds <n>     of load in each case of each round of tasks, messaging and routing (3)
  --in-flight <n,…> tasks or requests under way at once (1,64,512)
  --slices <n>      telemetry: slices of 2,000 tasks for each way (40)
  --cases <name,…>  messaging: these only, and those that they are compared with
  --against <dir>   tasks: measures another checkout too, built and with its packages, in the same rounds
  --profile <dir>   tasks: writes CPU profiles of the router and the agent's node there
  --nodes <n>       heartbeats: simulated nodes (1000)
  --agents <n>      heartbeats: agents on each (100)
  --steady <n>      heartbeats: seconds of each steady state (30)
  --programs <n>    attached: programs on one node (5000)
`;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    help: { type: 'boolean', default: false },
    quick: { type: 'boolean', default: false },
    rounds: { type: 'string' },
    seconds: { type: 'string' },
    'in-flight': { type: 'string' },
    slices: { type: 'string' },
    cases: { type: 'string' },
    against: { type: 'string' },
    profile: { type: 'string' },
    nodes: { type: 'string' },
    agents: { type: 'string' },
    steady: { type: 'string' },
    programs: { type: 'string' },
  },
});

const number = (name, usual, quick) => {
  const value = Number(values[name] ?? (values.quick ? quick : usual));
  if (!(value > 0)) throw new RangeError(`--${name} must be a positive number`);
  return value;
};

if (values.help) {
  console.log(HELP);
} else {
  const unknown = positionals.filter((name) => !BENCHES.includes(name));
  if (unknown.length > 0) throw new RangeError(`there is no bench ${unknown.join(', ')}; there are ${BENCHES.join(', ')}`);
  const options = {
    rounds: number('rounds', 3, 1),
    seconds: number('seconds', 3, 1),
    warmUpSeconds: values.quick ? 1 : 5,
    inFlight: (values['in-flight'] ?? (values.quick ? '1,64' : '1,64,512')).split(',').map(Number),
    slices: number('slices', 40, 3),
    cases: values.cases?.split(','),
    against: values.against,
    profile: values.profile,
    nodes: number('nodes', 1000, 50),
    agents: number('agents', 100, 20),
    steadySeconds: number('steady', 30, 5),
    programs: number('programs', 5_000, 500),
    quick: values.quick,
  };
  for (const name of positionals.length > 0 ? positionals : BENCHES) {
    say(`\n${name} …`);
    const { run } = await import(`./${name}.mjs`);
    await run(options);
  }
}
