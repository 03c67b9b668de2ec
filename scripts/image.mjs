// Builds the image with what there is: docker, podman or buildah. Arguments go to its build: `node scripts/image.mjs --no-cache`.
import { spawnSync } from 'node:child_process';
import { buildArguments, IMAGE } from './lib/image/arguments.mjs';
import { ROOT } from './lib/paths.mjs';

/** How each is asked whether it works here, and its build. Without `--format docker` an image has no health check. */
const TOOLS = {
  docker: { works: ['info'], build: ['build'] },
  podman: { works: ['info'], build: ['build', '--format', 'docker'] },
  buildah: { works: ['info'], build: ['build', '--format', 'docker'] },
};

const tool = Object.keys(TOOLS).find((name) => spawnSync(name, TOOLS[name].works, { stdio: 'ignore' }).status === 0);
if (tool === undefined) {
  console.error(
    `image: none of ${Object.keys(TOOLS).join(', ')} works here (a docker without its daemon does not); start or install one`,
  );
  process.exitCode = 1;
} else {
  const { values, flags } = buildArguments();
  const tags = [`${IMAGE}:${values.VERSION}`, `${IMAGE}:latest`];
  console.error(`image: ${tool} builds ${tags.join(', ')}`);
  const args = [...TOOLS[tool].build, ...flags, ...tags.flatMap((tag) => ['--tag', tag]), ...process.argv.slice(2), '.'];
  const env = { ...process.env, DOCKER_BUILDKIT: '1' };
  process.exitCode = spawnSync(tool, args, { cwd: ROOT, stdio: 'inherit', env }).status ?? 1;
}
