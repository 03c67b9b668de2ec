// Builds the image with buildah, and tests it and the containers of docker-compose.yml. Arguments go to jest. Needs root; what it
// needs beyond that, install-buildah.mjs gets; a base image lands in .tools/image.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildArguments, IMAGE } from './lib/image/arguments.mjs';
import { ensureBaseImage } from './lib/image/base-image.mjs';
import { Buildah } from './lib/image/buildah.mjs';
import { npmrc } from './lib/image/npmrc.mjs';
import { ROOT } from './lib/paths.mjs';

const CACHE = join(ROOT, '.tools', 'image');

if (process.getuid?.() !== 0) {
  log('this mounts images and makes network namespaces, which takes root: sudo make image-test');
  process.exit(1);
}
const scratch = mkdtempSync(join(tmpdir(), 'troupe-image-'));
mkdirSync(CACHE, { recursive: true });
try {
  const tools = JSON.parse(script('install-buildah.mjs'));
  const buildah = new Buildah(tools.buildah, CACHE);
  ensureBaseImage(buildah, CACHE, log);
  const image = prepare(buildah);
  writeFileSync(join(scratch, 'image.json'), JSON.stringify({ ...image, tools }));
  process.exitCode = runJest(join(scratch, 'image.json'));
  // What is kept is the base image, and the last build.
  buildah.run(['rm', '--all']);
  buildah.run(['rmi', `localhost/${IMAGE}:test-again`]);
  buildah.run(['rmi', '--prune']);
} catch (error) {
  log(String(error.stderr || error.stack));
  process.exitCode = 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

/** Builds it twice: the second must come out like the first. Mounts it twice: one of the two stays as it was built. */
function prepare(buildah) {
  const { values, flags } = buildArguments();
  writeFileSync(join(scratch, 'npmrc'), npmrc(), { mode: 0o600 });
  const [inspected, again] = ['test', 'test-again'].map((tag) => {
    log(`building ${IMAGE}:${tag}`);
    const name = `localhost/${IMAGE}:${tag}`;
    buildah.run(
      ['bud', '--quiet', '--format', 'docker', '--isolation', 'chroot', '--network', 'host', '--pull-never'].concat(
        ['--secret', `id=npmrc,src=${join(scratch, 'npmrc')}`, '--timestamp', values.SOURCE_DATE_EPOCH, ...flags],
        ['--tag', name, '.'],
      ),
      { cwd: ROOT },
    );
    return JSON.parse(buildah.run(['inspect', '--type', 'image', name]));
  });
  const [pristine, root] = ['pristine', 'root'].map((name) => {
    const container = buildah.run(['from', '--pull-never', '--name', `${name}-${process.pid}`, `localhost/${IMAGE}:test`]).trim();
    return buildah.run(['mount', container]).trim();
  });
  return {
    config: inspected.Docker.config,
    layers: inspected.Docker.rootfs.diff_ids,
    layersAgain: again.Docker.rootfs.diff_ids,
    arguments: values,
    compressedBytes: compressedBytes(buildah),
    pristine,
    root,
  };
}

/** As a registry keeps it. */
function compressedBytes(buildah) {
  const archive = join(scratch, 'oci');
  buildah.run(['push', '--quiet', `localhost/${IMAGE}:test`, `oci:${archive}:test`]);
  return Number(execFileSync('du', ['--summarize', '--bytes', archive], { encoding: 'utf8' }).split('\t')[0]);
}

function runJest(file) {
  // One after another, and with the time that containers take.
  const args = ['test/image', '--maxWorkers=1', '--testTimeout=120000', ...process.argv.slice(2)];
  const env = { ...process.env, TROUPE_IMAGE_TEST: file };
  const { status } = spawnSync(process.execPath, [join('scripts', 'test.mjs'), ...args], { cwd: ROOT, stdio: 'inherit', env });
  return status ?? 1;
}

/** What a script prints on standard output; what it does goes to ours. */
function script(name) {
  return execFileSync(process.execPath, [join(ROOT, 'scripts', name)], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}

function log(text) {
  process.stderr.write(`image-test: ${text}\n`);
}
