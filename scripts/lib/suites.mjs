/**
 * Suites that `make test` leaves out, since they need more than Node.js: each has a target of its own and a step in .ci/run. A path
 * runs one (`node scripts/test.mjs test/package`). The value says what scripts/test.mjs brings for it; what else it needs, it gets
 * itself.
 */
export const EXTRA_SUITES = {
  conformance: ['etcd', 'grpcurl', 'python', 'go'],
  docs: ['etcd', 'grpcurl'],
  image: ['etcd'],
  k8s: ['etcd', 'kubernetes', 'prometheus'],
  package: [],
};

/** Of jest's arguments: what the tests that they pick are given, and the folders that jest passes over. */
export function suitesOf(args) {
  const paths = args.filter((arg) => within(arg, 'test'));
  const named = Object.keys(EXTRA_SUITES).filter((suite) => paths.some((path) => within(path, `test/${suite}`)));
  const others = paths.filter((path) => !named.some((suite) => within(path, `test/${suite}`)));
  const needs = new Set(named.flatMap((suite) => EXTRA_SUITES[suite]));
  if (paths.length === 0 || others.length > 0) needs.add('etcd');
  const ignored = Object.keys(EXTRA_SUITES).filter((suite) => !named.includes(suite));
  return { needs, ignored: ignored.map((suite) => `<rootDir>/test/${suite}/`) };
}

const within = (path, folder) => path === folder || path.startsWith(`${folder}/`);
