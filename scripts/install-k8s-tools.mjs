#!/usr/bin/env node
// Gets what checks k8s/ and prints {"helm": path, "kustomize": [command, …], "validate": path}; what it does goes to standard error.
//
//   node scripts/install-k8s-tools.mjs
//
// helm: PATH, .tools/k8s, a Go build. kustomize: `kubectl kustomize` of a kubectl on the PATH, kustomize on the PATH, .tools/k8s, a Go
// build. validate: the command kubernetes-validate, in a virtual environment in .tools/k8s, from PyPI; it brings the schemas of
// Kubernetes' versions. Go comes from install-go.mjs. Everything lands in .tools, which git ignores; a second run finds it there.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { aptGet, findOnPath, firstOf, inScratch, logAs, place, run, runs } from './lib/install.mjs';
import { ROOT } from './lib/paths.mjs';

const HELM = '3.19.5';
const KUSTOMIZE = '5.7.1';
const VALIDATE = 'kubernetes-validate==1.37.0';
/** For which Kubernetes helm renders unless it is told: without that, a build of it takes 1.20. */
const KUBERNETES_MINOR = 34;
/** What `replicas`, components and patches need. */
const LEAST_KUSTOMIZE = [4, 5];

const log = logAs('install-k8s-tools');
const home = join(ROOT, '.tools', 'k8s');
const ours = (name) => join(home, 'bin', name);

try {
  const found = {
    helm: await firstOf('a helm 3', [helmOnPath, helmPresent, helmGoBuild]),
    kustomize: await firstOf('a kustomize', [kubectlOnPath, kustomizeOnPath, kustomizePresent, kustomizeGoBuild]),
    validate: validator(),
  };
  log(`${found.helm} (${helmVersion(found.helm)}), ${found.kustomize.join(' ')}, ${found.validate}`);
  process.stdout.write(`${JSON.stringify(found)}\n`);
} catch (error) {
  log(`${error.message}\nInstall helm 3 and kubectl so that they are on the PATH, and Python 3.9 or newer with venv.`);
  process.exitCode = 1;
}

function helmOnPath() {
  return checkedHelm(findOnPath('helm'));
}

function helmPresent() {
  return checkedHelm(ours('helm'));
}

function helmGoBuild() {
  const minor = ['pkg/chartutil', 'pkg/lint/rules'].map(
    (part) => `-X helm.sh/helm/v3/${part}.k8sVersionMajor=1 -X helm.sh/helm/v3/${part}.k8sVersionMinor=${KUBERNETES_MINOR}`,
  );
  const flags = ['-s -w', `-X helm.sh/helm/v3/internal/version.version=v${HELM}`, ...minor].join(' ');
  return goInstall('helm', `helm.sh/helm/v3/cmd/helm@v${HELM}`, flags, checkedHelm);
}

function checkedHelm(path) {
  const version = helmVersion(path);
  if (!version.startsWith('v3.')) throw new Error(`${path} is ${version}, not 3`);
  return path;
}

/** @throws when it does not run here. */
function helmVersion(path) {
  if (!existsSync(path)) throw new Error('not there');
  return run(path, ['version', '--template', '{{.Version}}']);
}

function kubectlOnPath() {
  const path = findOnPath('kubectl');
  return newEnough([path, 'kustomize'], run(path, ['version', '--client']));
}

function kustomizeOnPath() {
  const path = findOnPath('kustomize');
  return newEnough([path, 'build'], run(path, ['version']));
}

function kustomizePresent() {
  if (!existsSync(ours('kustomize'))) throw new Error('not there');
  run(ours('kustomize'), ['version']);
  return [ours('kustomize'), 'build'];
}

function kustomizeGoBuild() {
  return goInstall('kustomize', `sigs.k8s.io/kustomize/kustomize/v5@v${KUSTOMIZE}`, '-s -w', (path) => {
    run(path, ['version']);
    return [path, 'build'];
  });
}

/** The kustomize in kubectl tells its version only since it is new enough. */
function newEnough(command, version) {
  const [, major, minor] = /(?:Kustomize Version: |^|\/)v(\d+)\.(\d+)/m.exec(version.replace(/^Client Version:.*$/m, '')) ?? [];
  const [leastMajor, leastMinor] = LEAST_KUSTOMIZE;
  if (Number(major) > leastMajor || (Number(major) === leastMajor && Number(minor) >= leastMinor)) return command;
  throw new Error(`${command.join(' ')} is older than ${LEAST_KUSTOMIZE.join('.')}`);
}

/** What `check` makes of the command `name` that Go builds of `module`. */
function goInstall(name, module, flags, check) {
  const go = goCommand();
  return inScratch((scratch) => {
    log(`building ${module} with Go; this takes a minute or two`);
    const env = { ...process.env, GOBIN: scratch, CGO_ENABLED: '0', GOWORK: 'off', GOFLAGS: '-trimpath' };
    run(go, ['install', '-ldflags', flags, module], { cwd: scratch, env, timeout: 900_000 });
    check(join(scratch, name));
    return check(place(join(scratch, name), ours(name)));
  });
}

function goCommand() {
  const script = join(ROOT, 'scripts', 'install-go.mjs');
  return existsSync(script) ? run(process.execPath, [script]).trim() : findOnPath('go');
}

function validator() {
  const environment = join(home, `python-${VALIDATE.replace(/[^a-z0-9.]+/g, '-')}`);
  const command = join(environment, 'bin', 'kubernetes-validate');
  const complete = join(environment, 'complete');
  if (existsSync(complete)) return command;
  log(`installing ${VALIDATE}`);
  rmSync(environment, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  const python = process.env.TROUPE_PYTHON || 'python3';
  if (!runs(python, ['-c', 'import ensurepip, venv']) && process.getuid?.() === 0 && runs('apt-get', ['--version'])) {
    log('installing the packages python3 and python3-venv');
    aptGet(
      ['install', '--yes', '--no-install-recommends', 'python3', 'python3-venv'],
      { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } },
      log,
    );
  }
  run(python, ['-m', 'venv', environment]);
  run(join(environment, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', VALIDATE]);
  run(command, ['--version']);
  writeFileSync(complete, '');
  return command;
}
