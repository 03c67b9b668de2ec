// Draws docs/images/*.svg anew from runs of the built command: `node scripts/pictures.mjs`, after `make build`.
// The SVGs hold what was printed, line for line.
import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from './lib/paths.mjs';
import { terminalPicture } from './lib/terminal-picture.mjs';

const MAIN = join(ROOT, 'dist', 'src', 'app', 'main.js');

draw('demo', {
  title: 'make demo',
  description: 'Nine steps, from the start of a registry to a node that is killed while tasks run, of which none is lost.',
  lines: ['$ make demo', ...printed(['demo'])],
});

draw('health', {
  title: 'Looking at a cluster',
  description: 'What troupe nodes, agents and health show of three nodes, one of which drains.',
  lines: await lookingAtCluster(),
});

async function lookingAtCluster() {
  const dev = spawn(process.execPath, [MAIN, 'dev', '--port', '0', '--node-port', '0', '--registry-port', '0'], {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  try {
    const { grpc: address } = await readyLine(dev.stdout);
    const screen = (...args) => [`$ troupe ${args.join(' ')}`, ...printed([...args, '--address', address]), ''];
    printed(['run', 'data_processing', '--json', '{"path": "examples/data/sales.csv"}', '--address', address]);
    return [...screen('drain', 'node-2'), ...screen('nodes'), ...screen('agents'), ...screen('health')].slice(0, -1);
  } finally {
    dev.kill('SIGINT');
  }
}

async function readyLine(stdout) {
  for await (const line of createInterface({ input: stdout })) {
    if (line.startsWith('{"event":"ready"')) return JSON.parse(line);
  }
  throw new Error('troupe dev ended before it was ready');
}

function printed(args) {
  const text = execFileSync(process.execPath, [MAIN, ...args], {
    cwd: ROOT,
    encoding: 'utf8',
    env: { ...process.env, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'ignore'],
    timeout: 60_000,
  });
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.trimEnd());
}

function draw(name, picture) {
  writeFileSync(join(ROOT, 'docs', 'images', `${name}.svg`), terminalPicture(picture));
  console.log(`docs/images/${name}.svg: ${picture.lines.length} lines`);
}
