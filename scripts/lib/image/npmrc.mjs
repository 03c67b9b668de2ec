import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** An .npmrc for a build: the registry that this machine uses, and the certificates that it trusts beyond Node.js's own. */
export function npmrc() {
  const lines = [`registry=${config('registry')}`];
  const file = [config('cafile'), process.env.NODE_EXTRA_CA_CERTS].find((path) => path && existsSync(path));
  for (const certificate of file === undefined ? [] : certificates(readFileSync(file, 'utf8')))
    lines.push(`ca[]=${JSON.stringify(certificate)}`);
  return `${lines.join('\n')}\n`;
}

function certificates(pem) {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? [];
}

/** Empty where it is not set. */
function config(key) {
  const value = execFileSync('npm', ['config', 'get', key], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  return value === 'null' || value === 'undefined' ? '' : value;
}
