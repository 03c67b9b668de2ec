import { type Command, Option } from 'commander';
import { DEFAULT_SCALE_POLICY, type ScalePolicy, scalePolicy } from '../../autoscale/policy.js';
import { analyze, type GroupReport, HISTORY_LIMIT, type History, type Report, summarise } from '../../autoscale/report.js';
import { type Suggestion, suggest } from '../../autoscale/suggest.js';
import { assertNever } from '../../core/assert-never.js';
import { isTroupeError } from '../../core/errors.js';
import { addClusterOptions, type ClusterOptions, examples, withClient } from '../cluster.js';
import { type Colour, paintFor } from '../colours.js';
import { defined } from '../defined.js';
import { formatMs } from '../format-ms.js';
import type { CliIo } from '../io.js';
import { observations } from '../observations.js';
import { GROUPINGS, type Grouping } from '../observed-instances.js';
import { amount, count, durationMs, graceMs } from '../option-values.js';
import { jsonLine } from '../printable.js';
import { type Column, formatTable } from '../table.js';

interface AdviseOptions extends ClusterOptions {
  readonly by: Grouping;
  readonly samples: number;
  readonly interval: number;
  readonly watch?: true;
  readonly upAbove: number;
  readonly target: number;
  readonly downBelow: number;
  readonly min: number;
  readonly max?: number;
  readonly stabilise?: number;
}

/** Which option gives a field of the policy. */
const FLAGS: Readonly<Record<string, string>> = {
  scaleUpAbove: '--up-above',
  target: '--target',
  scaleDownBelow: '--down-below',
  minInstances: '--min',
  maxInstances: '--max',
  stabiliseDownMs: '--stabilise',
};
const MOST_INSTANCES = 1_000_000;

export function scaleCommand(program: Command, io: CliIo): void {
  const scale = program.command('scale').description('see how many instances there should be');
  addAdvise(scale, io);
}

function addAdvise(scale: Command, io: CliIo): void {
  const policy = DEFAULT_SCALE_POLICY;
  addClusterOptions(
    scale
      .command('advise')
      .description(
        'measure the load for some time and advise more or fewer instances; changes nothing. Load is connections: tasks that an agent has in flight or queued',
      ),
    'table',
  )
    .addOption(
      new Option('--by <group>', 'agents by kind or by capability; or services: all agents, all nodes')
        .choices(GROUPINGS)
        .default('kind'),
    )
    .option('--samples <n>', `how often to look before the first advice, at most ${HISTORY_LIMIT}`, count(HISTORY_LIMIT), 3)
    .addOption(new Option('--interval <duration>', 'pause between samples').argParser(durationMs).default(1_000, '1s'))
    .option('--watch', 'go on until Ctrl-C, and print the advice again whenever it changes')
    .option('--up-above <average>', 'more instances when there are more connections for each', amount, policy.scaleUpAbove)
    .option('--target <average>', 'connections for each that more instances aim at', amount, policy.target)
    .option(
      '--down-below <average>',
      'half of the instances when there are fewer connections for each',
      amount,
      policy.scaleDownBelow,
    )
    .option('--min <n>', 'instances to have at least', count(MOST_INSTANCES), policy.minInstances)
    .option('--max <n>', 'instances to have at most', count(MOST_INSTANCES))
    .option(
      '--stabilise <duration>',
      'fewer instances only after so long a time without need of more (default: 5m, or all samples where they take less)',
      graceMs,
    )
    .addHelpText(
      'after',
      examples(
        'troupe scale advise',
        'troupe scale advise --by capability --samples 30',
        'troupe scale advise --watch --interval 5s --max 20',
        'troupe scale advise --output json | jq \'.suggestions[] | select(.kind != "keep")\'',
      ),
    )
    .action((options: AdviseOptions, command: Command) => advise(io, command, options));
}

async function advise(io: CliIo, command: Command, options: AdviseOptions): Promise<void> {
  const policy = policyOf(command, options);
  await withClient(io, command, async (client) => {
    let history: History = [];
    let taken = 0;
    let printed: string | undefined;
    for await (const observation of observations(io, command, client, options)) {
      const analysis = analyze(observation, history);
      history = analysis.history;
      taken += 1;
      if (taken < options.samples) continue;
      const suggestions = suggest(history, policy);
      const advice = JSON.stringify(suggestions.map(({ group, from, to }) => [group, from, to]));
      if (advice !== printed) {
        if (printed !== undefined && options.output === 'table') io.stdout('\n');
        print(io, options, { policy, report: analysis.report, history, suggestions });
      }
      printed = advice;
      if (options.watch === undefined) return;
    }
  });
}

/** The policy of the options. Wrong usage where they contradict each other. */
function policyOf(command: Command, options: AdviseOptions): ScalePolicy {
  // The pauses between the samples of the longest history: a window that is longer would never end.
  const coveredMs = ((options.watch ? HISTORY_LIMIT : options.samples) - 1) * options.interval;
  const stabilise = options.stabilise ?? Math.min(DEFAULT_SCALE_POLICY.stabiliseDownMs, coveredMs);
  const policy = validPolicy(command, {
    ...defined({ maxInstances: options.max }),
    scaleUpAbove: options.upAbove,
    target: options.target,
    scaleDownBelow: options.downBelow,
    minInstances: options.min,
    stabiliseDownMs: stabilise,
  });
  if (stabilise > coveredMs) {
    const more = options.watch ? 'a longer --interval' : 'more --samples, a longer --interval, or --watch';
    command.error(
      `--stabilise ${formatMs(stabilise)} is longer than what the samples cover, ${formatMs(coveredMs)}: give ${more}`,
    );
  }
  return policy;
}

function validPolicy(command: Command, changes: Partial<ScalePolicy>): ScalePolicy {
  try {
    return scalePolicy(changes);
  } catch (error) {
    if (!isTroupeError(error)) throw error;
    return command.error(error.violations.map(({ field, description }) => `${FLAGS[field] ?? field} ${description}`).join('; '));
  }
}

interface Advice {
  readonly policy: ScalePolicy;
  readonly report: Report;
  readonly history: History;
  readonly suggestions: readonly Suggestion[];
}

function print(io: CliIo, { output, by }: AdviseOptions, advice: Advice): void {
  if (output === 'json') io.stdout(jsonLine(toJson(by, advice)));
  else if (advice.suggestions.length === 0) io.stderr('No agents.\n');
  else io.stdout(formatTable(COLUMNS, rowsOf(advice), paintFor(io, 'stdout')));
}

interface Row {
  readonly report: GroupReport;
  readonly suggestion: Suggestion;
}

function rowsOf({ report, suggestions }: Advice): readonly Row[] {
  const reports = new Map(report.groups.map((each) => [each.group, each]));
  return suggestions.flatMap((suggestion) => {
    const each = reports.get(suggestion.group);
    return each === undefined ? [] : [{ report: each, suggestion }];
  });
}

const COLUMNS: readonly Column<Row>[] = [
  { heading: 'GROUP', cell: ({ report }) => report.group },
  { heading: 'INSTANCES', cell: ({ report }) => report.instances },
  { heading: 'CONNECTIONS', cell: ({ report }) => report.connections },
  { heading: 'AVERAGE', cell: ({ report }) => report.average?.toFixed(1) ?? '-' },
  { heading: 'ADVICE', cell: ({ suggestion }) => adviceText(suggestion), colour: ({ suggestion }) => adviceColour(suggestion) },
  { heading: 'WHY', cell: ({ suggestion }) => suggestion.reason },
];

function adviceText({ kind, to }: Suggestion): string {
  switch (kind) {
    case 'up':
    case 'down':
      return `${kind} to ${to}`;
    case 'keep':
      return 'keep';
    default:
      return assertNever(kind);
  }
}

function adviceColour({ kind }: Suggestion): Colour {
  return kind === 'keep' ? 'green' : 'yellow';
}

function toJson(by: Grouping, { policy, report, history, suggestions }: Advice) {
  return {
    by,
    report: {
      time: new Date(report.timeMs),
      groups: report.groups.map(({ average = null, ...group }: WithNull) => ({ ...group, average })),
    },
    history: { reports: history.length, since: new Date(history[0]?.timeMs ?? report.timeMs), groups: summarise(history) },
    policy: { ...policy, maxInstances: policy.maxInstances ?? null },
    suggestions: suggestions.map(({ group, kind, from, to, reason }) => ({ group, kind, from, to, reason })),
  };
}

type WithNull = Omit<GroupReport, 'average'> & { readonly average?: number | null };
