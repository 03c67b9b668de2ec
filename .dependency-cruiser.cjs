/**
 * The layer law: a folder of src/ imports only from lower layers, never sideways, never up. This table is the law; the
 * rules below follow from it.
 *
 * `agent` stands half a step above `telemetry`, because an agent's context hands its author a logger.
 */
const LAYERS = [
  ['gen', 'core'],
  ['telemetry'],
  ['resilience', 'balancer', 'agent'],
  ['store', 'rpc', 'runtime', 'ops'],
  ['discovery'],
  ['upstream', 'link'],
  ['registry', 'node', 'messaging', 'tasks', 'deployments', 'state', 'config', 'health', 'autoscale', 'gateway', 'client'],
  ['cli', 'dashboard'],
  ['app'],
];

/** Files that nothing imports: the SDK, and the command. */
const ENTRIES = ['^src/index\\.ts$', '^src/app/main\\.ts$'];

const folders = (names) => `^src/(${names.join('|')})/`;

const layerRules = LAYERS.flatMap((layer, level) =>
  layer.map((folder) => ({
    name: `layer-law-${folder}`,
    comment: `src/${folder} imports only from ${LAYERS.slice(0, level).flat().join(', ') || 'no other folder'}`,
    severity: 'error',
    from: { path: folders([folder]) },
    to: { path: '^src/', pathNot: folders([folder, ...LAYERS.slice(0, level).flat()]) },
  })),
);

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...layerRules,
    {
      name: 'known-folder',
      comment: 'Every folder of src/ has its place in the table of layers',
      severity: 'error',
      from: { path: '^src/', pathNot: [folders(LAYERS.flat()), '^src/index\\.ts$'] },
      to: {},
    },
    {
      name: 'known-folder-imported',
      comment: 'Every folder of src/ has its place in the table of layers',
      severity: 'error',
      from: {},
      to: { path: '^src/', pathNot: [folders(LAYERS.flat()), '^src/index\\.ts$'] },
    },
    {
      name: 'no-circular',
      comment: 'Files that need each other are one file, or lack a third',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-orphans',
      comment: 'A file that nothing imports and that imports nothing is forgotten',
      severity: 'error',
      from: { orphan: true, path: '^src/', pathNot: [...ENTRIES, '^src/gen/'] },
      to: {},
    },
    {
      name: 'no-dev-dependencies',
      comment: 'What src/ imports is installed with the package',
      severity: 'error',
      from: { path: '^src/' },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'src-stands-alone',
      comment: 'src/ imports neither tests nor examples, benchmarks, scripts or its own build',
      severity: 'error',
      from: { path: '^src/' },
      to: { path: '^(test|examples|bench|scripts|dist)/' },
    },
    {
      name: 'no-unresolvable',
      comment: 'Every import of src/ is there',
      severity: 'error',
      from: { path: '^src/' },
      to: { couldNotResolve: true },
    },
    {
      name: 'examples-use-the-sdk',
      comment: "Examples import Troupe as its users do: from 'troupe'",
      severity: 'error',
      from: { path: '^examples/' },
      to: { path: '^(src|test|bench|scripts|dist)/', pathNot: '^(src/index\\.ts|dist/src/index\\.(js|d\\.ts))$' },
    },
    {
      name: 'examples-use-the-sdk-by-name',
      comment: "Examples import Troupe as its users do: from 'troupe'",
      severity: 'error',
      from: { path: '^examples/' },
      to: { path: '^(src|dist)/', dependencyTypes: ['local'] },
    },
  ],
  options: {
    parser: 'swc',
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['types', 'import', 'default'] },
    doNotFollow: { path: ['node_modules', '^dist/'] },
  },
};
