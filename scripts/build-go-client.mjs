#!/usr/bin/env node
// Makes the programs of test/conformance/go and prints the folder that has them; what it does goes to standard error.
//
//   node scripts/build-go-client.mjs
//
// Go code of proto/ by buf and the plugins that go.mod pins, into test/conformance/go/gen, and the programs into .tools/go-client: neither is
// committed. The Go is the one that install-go.mjs finds or gets.
import { delimiter, dirname, join } from 'node:path';
import { logAs, run } from './lib/install.mjs';
import { ROOT, tool } from './lib/paths.mjs';

const log = logAs('build-go-client');
const MODULE = join(ROOT, 'test', 'conformance', 'go');
const PROGRAMS = join(ROOT, '.tools', 'go-client');

try {
  const go = run(process.execPath, [join(ROOT, 'scripts', 'install-go.mjs')]).trim();
  // The template names the plugins as `go tool`, and so that go. A workspace or flags of the user's are no part of it.
  const PATH = `${dirname(go)}${delimiter}${process.env.PATH ?? ''}`;
  const env = {
    ...process.env,
    PATH,
    GOTOOLCHAIN: 'local',
    GOWORK: 'off',
    GOFLAGS: '-mod=readonly -buildvcs=false',
    CGO_ENABLED: '0',
  };
  log('making Go code of proto/');
  run(process.execPath, [tool('buf'), 'generate'], { cwd: MODULE, env });
  log('building the programs');
  run(go, ['vet', './...'], { cwd: MODULE, env });
  run(go, ['build', '-trimpath', '-o', `${PROGRAMS}/`, './...'], { cwd: MODULE, env });
  process.stdout.write(`${PROGRAMS}\n`);
} catch (error) {
  log(`could not make the Go programs: ${String(error.stderr || error.message).trim()}`);
  process.exitCode = 1;
}
