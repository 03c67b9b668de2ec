// The health check of the image, which has no curl: asks the operations port of the role in this container, and ends with 0 when
// it answers 200. `node probe.js /health` (the default) says whether it is alive, `/ready` whether it takes work.
// It imports nothing of the program, so that it costs little however often it is run.
import { get } from 'node:http';

const TIMEOUT_MS = 2_000;

const path = process.argv[2] ?? '/health';
const port = process.env.TROUPE_OPS_PORT ?? '9464';

if (/^[1-9]\d*$/.test(port)) ask();
else fail(`TROUPE_OPS_PORT is "${port}": a health check needs a port that is known; run the container with --no-healthcheck`);

function ask(): void {
  const request = get({ host: '127.0.0.1', port, path, timeout: TIMEOUT_MS }, (response) => {
    response.setEncoding('utf8');
    let body = '';
    response.on('data', (text: string) => {
      body += text;
    });
    response.on('end', () => {
      process.stdout.write(`${body.trim()}\n`);
      process.exitCode = response.statusCode === 200 ? 0 : 1;
    });
  });
  request.on('timeout', () => request.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
  request.on('error', (error) => fail(`http://127.0.0.1:${port}${path}: ${error.message}`));
}

function fail(message: string): void {
  process.stderr.write(`${message}\n`);
  process.exitCode = 1;
}
