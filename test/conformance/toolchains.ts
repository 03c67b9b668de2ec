import { join } from 'node:path';
import { ROOT } from '../support/processes.js';

interface Python {
  readonly interpreter: string;
  readonly env: Readonly<Record<string, string>>;
}

/** What install-python.mjs printed. */
export function python(): Python {
  const { python: interpreter, stubs } = JSON.parse(given('TROUPE_PYTHON_EXAMPLES')) as { python: string; stubs: string };
  return { interpreter, env: { PYTHONPATH: stubs, PYTHONDONTWRITEBYTECODE: '1' } };
}

/** A program that build-go-client.mjs has made. */
export function goProgram(name: string): string {
  return join(given('TROUPE_GO_CLIENT'), name);
}

export function grpcurl(): string {
  return given('TROUPE_GRPCURL');
}

function given(variable: string): string {
  const value = process.env[variable];
  if (value === undefined || value === '') throw new Error(`${variable} is not set: run \`make conformance\``);
  return value;
}

export const CONFORMANCE = join(ROOT, 'test', 'conformance');
