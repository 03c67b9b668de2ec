import { block, code, plain, table } from './reference-table.mjs';

/** docs/reference/command.md, from the program itself; `textAfter(command)` gives what its help ends with. */
export function commandReference({ program, textAfter }) {
  const commands = [...all(program)];
  const contents = commands
    .filter(({ path }) => path.length > 1)
    .map(({ path, command }) => [`[${path.join(' ')}](#${path.join('-')})`, plain(sentence(command.description()))]);
  return `${INTRODUCTION}\n${table(['Command', 'What it does'], contents)}\n\n${commands.map(section).join('\n\n')}\n`;

  function* all(command, path = [command.name()]) {
    yield { command, path };
    for (const child of command.commands) yield* all(child, [...path, child.name()]);
  }

  function section({ command, path }) {
    const help = command.createHelp();
    const args = help
      .visibleArguments(command)
      .map((each) => [code(help.argumentTerm(each)), plain(help.argumentDescription(each))]);
    const role = path[1] === 'config' ? program.commands.find((each) => each.name() === path[3]) : undefined;
    const known = new Set(role?.options.map(({ flags }) => flags));
    const options = help
      .visibleOptions(command)
      .filter(({ flags }) => !known.has(flags))
      .map((option) => [code(help.optionTerm(option)), plain(help.optionDescription(option))]);
    return [
      `## ${path.join(' ')}`,
      plain(sentence(command.description())),
      block(usage(command, path)),
      ...(args.length === 0 ? [] : [table(['Argument', 'Meaning'], args)]),
      ...(role === undefined ? [] : [`The flags of [troupe ${role.name()}](#troupe-${role.name()}), and:`]),
      table(['Option', 'Meaning'], options),
      ...after(textAfter(command)),
    ].join('\n\n');
  }

  function usage(command, path) {
    return `${path.join(' ')} ${command.usage()}`;
  }
}

/** Examples as a block, the rest as text. */
function after(text) {
  const [, examples = '', rest = ''] = /^\s*Examples:\n((?: {2}.*\n?)*)([\s\S]*)$/.exec(text) ?? [undefined, '', text];
  const lines = examples
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.replace(/^ {2}/, ''));
  const paragraphs =
    rest.trim() === ''
      ? []
      : [
          rest
            .trim()
            .split('\n')
            .map((line) => `- ${plain(line)}`)
            .join('\n'),
        ];
  return [...(lines.length === 0 ? [] : [block(lines.join('\n'))]), ...paragraphs];
}

function sentence(text) {
  return text === '' ? '' : `${text[0].toUpperCase()}${text.slice(1).replace(/\.$/, '')}.`;
}

const INTRODUCTION = `<!-- Generated from the command itself by scripts/reference.mjs; \`make reference\` writes it anew. Do not edit. -->

# The command

Every command, its arguments and options, as \`troupe COMMAND --help\` tells them. What settings of roles may be, and how to give them by
environment or file, is in [configuration.md](configuration.md).
`;
