import { type Command, Option } from 'commander';
import { examples } from '../../cli/cluster.js';
import { paintFor } from '../../cli/colours.js';
import { EXIT, ExitError } from '../../cli/errors.js';
import type { CliIo } from '../../cli/io.js';
import { jsonLine, printable } from '../../cli/printable.js';
import { explainJson, explainTable } from '../settings/explain.js';
import { fileProblems } from '../settings/named-files.js';
import { addSettings } from '../settings/options.js';
import { printWarnings, readConfigFile, resolveFor } from '../settings/read-settings.js';
import { sourceOf } from '../settings/resolve.js';
import { ROLES, type Role } from '../settings/setting.js';

interface CheckOptions {
  readonly files: boolean;
}

const NO_FILES = [
  '--no-files',
  'leaves out the files that settings name: policies, secrets, certificates, modules of agents',
] as const;

interface ExplainOptions extends CheckOptions {
  readonly output: 'table' | 'json';
}

export function configCommand(program: Command, io: CliIo): void {
  const config = program.command('config').helpGroup('Look:').description('see what the settings of a role are, and who says so');
  const explain = config
    .command('explain')
    .description('show each setting of a role, its value, where that comes from, and what said otherwise')
    .addHelpText('after', examples('troupe config explain node', 'TROUPE_ZONE=b troupe config explain node --zone a'));
  for (const role of ROLES) addExplain(explain, role, io);
  config
    .command('check')
    .argument('<file>', 'configuration file, YAML or JSON')
    .description('say all that is wrong with a configuration file, and with the files that it names')
    .option(...NO_FILES)
    .addHelpText('after', examples('troupe config check troupe.yaml', 'troupe config check --no-files troupe.yaml'))
    .action((file: string, { files }: CheckOptions) => check(io, file, files));
}

function addExplain(explain: Command, role: Role, io: CliIo): void {
  addSettings(explain.command(role).description(`settings of troupe ${role}; takes its flags, so that one can try them`), role)
    .addOption(new Option('-o, --output <format>', 'for people or for programs').choices(['table', 'json']).default('table'))
    .option(...NO_FILES)
    .addHelpText(
      'after',
      examples(`troupe config explain ${role}`, `troupe config explain ${role} --config troupe.yaml --output json`),
    )
    .action(async ({ output, files }: ExplainOptions, command: Command) => {
      const resolution = await resolveFor(role, command, io, files);
      const { problems, warnings } = resolution;
      if (output === 'json') io.stdout(jsonLine(explainJson(resolution)));
      else {
        io.stdout(explainTable(resolution, paintFor(io, 'stdout')));
        printWarnings(io, warnings);
        printProblems(io, problems);
      }
      if (problems.length > 0) throw new ExitError(EXIT.usage);
    });
}

async function check(io: CliIo, path: string, withFiles: boolean): Promise<void> {
  const { entries, problems } = await readConfigFile(path);
  const named = entries.map((entry) => ({ ...entry, source: sourceOf(path, entry) }));
  const all = [...problems, ...(withFiles ? await fileProblems(named) : [])];
  printProblems(io, all);
  if (all.length > 0) throw new ExitError(EXIT.usage);
  io.stdout(`${printable(path)}: all settings are right${withFiles ? '' : '; the files that it names were not looked at'}\n`);
}

function printProblems(io: CliIo, problems: readonly string[]): void {
  const paint = paintFor(io, 'stderr');
  for (const problem of problems) io.stderr(`${paint('red', 'error:')} ${printable(problem)}\n`);
}
