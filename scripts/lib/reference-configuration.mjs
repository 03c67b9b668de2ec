import { code, plain, table } from './reference-table.mjs';

const HEADINGS = {
  'registry, node, gateway, dev': 'Every role, and `troupe dev`',
  'registry, node, gateway': 'Every role',
  'node, gateway, dev': 'Nodes and gateways, and `troupe dev`',
  'node, gateway': 'Nodes and gateways',
  'node, dev': 'Nodes, and `troupe dev`',
  node: 'Nodes',
  registry: 'Registries',
  dev: '`troupe dev` alone',
};

const EXAMPLE = `# For all processes of a cluster; each takes what it knows.
logLevel: info
zone: eu-1
otlpEndpoint: http://otel-collector:4317
traceRatio: 0.01
store: etcd
etcd: [etcd-0:2379, etcd-1:2379, etcd-2:2379]
etcdUser: troupe
etcdPasswordFile: /run/secrets/etcd/password

node:
  registry: [registry-0:8000, registry-1:8000]
  agents: [./agents.mjs]
  drainGrace: 60

gateway:
  registry: [registry-0:8000, registry-1:8000]
  strategy: least_connections
`;

/** docs/reference/configuration.md, from the catalogue of settings. */
export function configurationReference({ SETTINGS, defaultText, isNegated }) {
  const groups = new Map(Object.keys(HEADINGS).map((roles) => [roles, []]));
  for (const [key, setting] of Object.entries(SETTINGS)) {
    const group = groups.get(setting.roles.join(', '));
    if (group === undefined) throw new Error(`no heading for settings of ${setting.roles.join(', ')}; add one to HEADINGS`);
    group.push(row(key, setting));
  }
  const sections = [...groups]
    .filter(([, rows]) => rows.length > 0)
    .map(([roles, rows]) => `## ${HEADINGS[roles]}\n\n${table(['Setting', 'Default', 'Allowed', 'Roles', 'Meaning'], rows)}`);
  return `${INTRODUCTION}\n${sections.join('\n\n')}\n`;

  function row(key, setting) {
    const { env, notInFile, kind, roles, secret, description } = setting;
    const names = [...(notInFile ? [] : [key]), setting.flag, ...env].map(code).join('<br>');
    const allowed = isNegated(setting) ? `the flag alone; key and variable ${kind.allowed}` : kind.allowed;
    const meaning = isNegated(setting) ? `\`${key}: false\`: ${plain(description)}` : plain(description);
    return [names, defaults(setting), plain(allowed), roles.join(', '), secret ? `${meaning}. Secret: never shown` : meaning];
  }

  /** One for all, or one for each role. */
  function defaults(setting) {
    const texts = setting.roles.map((role) => defaultText(setting, role) ?? '');
    if (new Set(texts.map((text, index) => text.replace(`${setting.roles[index]}-`, '<role>-'))).size > 1)
      return setting.roles.map((role, index) => `${role}: ${plain(texts[index])}`).join('<br>');
    return plain(setting.defaultText ?? texts[0]) || '-';
  }
}

const INTRODUCTION = `<!-- Generated from src/app/settings/catalogue.ts by scripts/reference.mjs; \`make reference\` writes it anew. Do not edit. -->

# Configuration

Each setting has a flag, in most cases an environment variable, and a key in a configuration file. Where they disagree, the flag
counts before the environment, the environment before the file, the file before the default. \`troupe config explain ROLE\` shows for
each setting its value, where that comes from, and what said otherwise:

\`\`\`text
$ TROUPE_ZONE=b troupe config explain node --zone a
SETTING       VALUE           SOURCE       OVERRULED
…
zone          a               flag --zone  also env TROUPE_ZONE=b
\`\`\`

It takes the flags of the role, so that one can try them, and \`--output json\`. Secrets are masked.

Whatever is malformed ends the process with exit code 2 and a message that names the flag, the variable, or the file with its line and
key, then the value, and what is allowed. That holds also for what a stronger source overrules. \`troupe config explain\` tells all that
is wrong, not only what a role would find first.

## Environment variables

A variable that is empty counts as not set. One that begins with \`TROUPE_\` and is nearly a known one gets a warning. Variables that
Kubernetes sets for Services (\`TROUPE_GATEWAY_SERVICE_HOST\`, \`TROUPE_REGISTRY_PORT_8000_TCP\`) are no settings; where one has the name
of a setting, as \`TROUPE_PORT=tcp://10.0.0.1:8080\` for a Service named \`troupe\`, it is ignored with a warning. Of
\`OTEL_EXPORTER_OTLP_ENDPOINT\` only the value that counts is checked, since other programs read it too.

## Configuration file

\`--config FILE\` or \`TROUPE_CONFIG\` names a file of YAML or JSON: a map of the keys below. A section \`registry\`, \`node\`,
\`gateway\` or \`dev\` holds what counts for that role alone, before the keys outside of sections, so one file serves all processes. A role
leaves aside keys of other roles outside of sections; in a section they are an error, as are unknown keys everywhere.

\`\`\`yaml
${EXAMPLE}\`\`\`

- \`registry\` is a section where it is a map, and otherwise the addresses of registries. A file that has the section gives the addresses
  in the sections \`node\` and \`gateway\`.
- Lists are lists, or text with commas. Numbers may be strings. Names and paths that look like numbers must be in quotes.
- It is read as YAML 1.2: an alias (\`*name\`) stands for a value or a whole section. \`<<\`, which merged maps in YAML 1.1, is refused, as
  is a key that is there twice; what several roles share stands outside of sections.
- Keys without a value, or with an empty string, count as not set.
- Relative paths are relative to the folder that the process was started in, as those of flags are.
- Passwords are better in a file of their own: \`etcdPasswordFile\` takes a mounted secret.

\`troupe config check FILE\` says all that is wrong with a file, and with the files that it names.

## Files that settings name

A role looks at them before it starts, and ends with exit code 2 where one will not do; \`troupe config explain\` and \`troupe config check\`
look at them in the same way. A routing policy (\`policy\`) is read in full. The secrets and certificates of etcd must be readable and not
empty; whether etcd takes them is not known, nor are they read by a registry on another store. Modules of agents must be there; they are
not run, so that what they export shows only when a node starts. \`dataDir\` is not looked at. Where the files are on another machine,
\`--no-files\` has \`explain\` and \`check\` leave them out.

\`troupe dev\` gives its processes \`--config\` and the flags about telemetry that it was given, and free operations ports; its ports,
strategy, lease and log level overrule what the file says of its processes.
`;
