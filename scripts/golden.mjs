// Bytes that every implementation of the contracts must make and read: test/conformance/golden/*.json, of the examples beside them.
//
//   node scripts/golden.mjs           fails when the files are not what the examples and proto/ give
//   node scripts/golden.mjs --write   writes them: only for examples that are new, since bytes that change break what is out there
//
// Encoded by @bufbuild/protobuf from the descriptors, which nothing else here encodes messages with.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createFileRegistry, fromBinary, fromJson, toBinary, toJson } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { EXAMPLES } from '../test/conformance/golden/examples.mjs';
import { ROOT, tool } from './lib/paths.mjs';

const descriptors = execFileSync(process.execPath, [tool('buf'), 'build', '--as-file-descriptor-set', '--output', '-'], {
  cwd: ROOT,
});
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, descriptors));

for (const [file, examples] of Object.entries(EXAMPLES)) {
  const path = join(ROOT, 'test', 'conformance', 'golden', `${file}.json`);
  const present = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const fresh = `[\n${examples.map((example) => `  ${JSON.stringify(golden(example))}`).join(',\n')}\n]\n`;
  if (fresh === present) console.log(`${file}: ${examples.length} messages, as they were`);
  else if (process.argv.includes('--write')) {
    writeFileSync(path, fresh);
    console.log(`${file}: ${examples.length} messages, written`);
  } else {
    console.error(
      `test/conformance/golden/${file}.json is not what its examples give: \`node scripts/golden.mjs --write\`, and look at what changed`,
    );
    process.exitCode = 1;
  }
}

/** `hex` is what is read, `canonical` what an encoder makes of that (where it differs), `also` what some make, `json` what all of them mean. */
function golden([name, type, json, odd]) {
  const message = registry.getMessage(type);
  const canonical = hexOf(toBinary(message, fromJson(message, json, { registry })));
  const { also, append = '', hex = `${canonical}${append}` } = odd ?? {};
  const meant = meaning(message, canonical);
  for (const bytes of [hex, also ?? hex]) {
    if (JSON.stringify(meaning(message, bytes)) !== JSON.stringify(meant))
      throw new Error(`${name}: ${bytes} means something else`);
  }
  return { name, type, hex, ...(hex === canonical ? {} : { canonical }), ...(also === undefined ? {} : { also }), json: meant };
}

function meaning(message, hex) {
  return toJson(message, fromBinary(message, Buffer.from(hex, 'hex')), { registry });
}

function hexOf(bytes) {
  return Buffer.from(bytes).toString('hex');
}
