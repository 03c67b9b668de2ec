import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './paths.mjs';

/** Where the version of Troupe stands: by file, what stands before it and the version itself. */
const PLACES = [
  { files: /^package\.json$/, patterns: [/^( {2}"version": ")([^"]+)/gm] },
  {
    files: /^package-lock\.json$/,
    patterns: [
      /^(\{\n {2}"name": "troupe",\n {2}"version": ")([^"]+)/g,
      /^( {4}"": \{\n {6}"name": "troupe",\n {6}"version": ")([^"]+)/gm,
    ],
  },
  { files: /^docker-compose\.yml$/, patterns: [/^( +image: \S*\btroupe:)(\d[\w.-]*)/gm, /^( +VERSION: ["']?)(\d[\w.-]*)/gm] },
  { files: /^k8s\/chart\/Chart\.yaml$/, patterns: [/^((?:appV|v)ersion: ["']?)(\d[\w.-]*)/gm] },
  {
    // What tests expect of an older version stays as it is.
    files: /^k8s\/(?!.*\.test\.).*\.ya?ml$/,
    patterns: [/(app\.kubernetes\.io\/version: ["']?)(\d[\w.-]*)/g, /(\bimage: \S*\btroupe:)(\d[\w.-]*)/g],
  },
];

/** Every place under `root`, with the version that it has: `[{ file, version }]`. */
export function versions(root = ROOT) {
  return candidates(root).flatMap((file) => {
    const text = readFileSync(join(root, file), 'utf8');
    return patternsOf(file).flatMap((pattern) => [...text.matchAll(pattern)].map(([, , version]) => ({ file, version })));
  });
}

/** Writes `version` to every place; the files that it changed. */
export function setVersion(version, root = ROOT) {
  return candidates(root).filter((file) => {
    const path = join(root, file);
    const text = readFileSync(path, 'utf8');
    const set = patternsOf(file).reduce((so, pattern) => so.replace(pattern, (_, before) => before + version), text);
    if (set !== text) writeFileSync(path, set);
    return set !== text;
  });
}

function candidates(root) {
  const k8s = existsSync(join(root, 'k8s')) ? readdirSync(join(root, 'k8s'), { recursive: true }) : [];
  return [
    'package.json',
    'package-lock.json',
    'docker-compose.yml',
    ...k8s.map((path) => `k8s/${path.replaceAll('\\', '/')}`).sort(),
  ]
    .filter((file) => patternsOf(file).length > 0)
    .filter((file) => existsSync(join(root, file)));
}

function patternsOf(file) {
  return PLACES.filter(({ files }) => files.test(file)).flatMap(({ patterns }) => patterns);
}

/** What CHANGELOG.md says of a version. @throws when it says nothing, or not in the form of Keep a Changelog. */
export function changesOf(version, changelog) {
  const lines = changelog.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`## [${version}]`));
  if (start < 0) throw new Error(`CHANGELOG.md has no entry "## [${version}] - YYYY-MM-DD"`);
  const date = /^## \[[^\]]+\] - (\d{4}-\d{2}-\d{2})$/.exec(lines[start])?.[1];
  if (date === undefined || Number.isNaN(Date.parse(date)))
    throw new Error(`CHANGELOG.md: "${lines[start]}" must be "## [${version}] - YYYY-MM-DD"`);
  const end = lines.findIndex((line, index) => index > start && line.startsWith('## '));
  const changes = lines
    .slice(start + 1, end < 0 ? undefined : end)
    .join('\n')
    .trim();
  if (!/^### (Added|Changed|Deprecated|Removed|Fixed|Security)$/m.test(changes))
    throw new Error(
      `CHANGELOG.md: the entry of ${version} names no kind of change: ### Added, Changed, Deprecated, Removed, Fixed or Security`,
    );
  return changes;
}

/** Whether `a` comes after `b`: versions such as 1.2.3. */
export function isNewer(a, b) {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number));
  const at = left.findIndex((part, index) => part !== right[index]);
  return at >= 0 && left[at] > right[at];
}
