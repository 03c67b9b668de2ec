#!/usr/bin/env node
// What the documents need of curl, for machines that have none: `curl [-s] [-i] URL`.
const args = process.argv.slice(2);
const url = args.find((arg) => !arg.startsWith('-'));
const unknown = args.filter((arg) => arg.startsWith('-') && !/^-[si]+$/.test(arg));
if (url === undefined || unknown.length > 0) {
  process.stderr.write(`curl: this stand-in takes -s, -i and a URL, not ${args.join(' ')}\n`);
  process.exit(2);
}
try {
  const response = await fetch(/^https?:/.test(url) ? url : `http://${url}`);
  if (args.some((arg) => /^-\w*i/.test(arg))) {
    process.stdout.write(`HTTP/1.1 ${response.status} ${response.statusText}\r\n`);
    for (const [name, value] of response.headers) process.stdout.write(`${name}: ${value}\r\n`);
    process.stdout.write('\r\n');
  }
  process.stdout.write(await response.text());
} catch (error) {
  process.stderr.write(`curl: ${error.cause?.message ?? error.message}\n`);
  process.exitCode = 7;
}
