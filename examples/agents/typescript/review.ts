import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { TroupeError } from 'troupe';
import { runNode } from '../input/child.js';
import { installed } from '../input/installed.js';

/** What the compiler says of a place in the source; line and column from 1, undefined when it is of no place. */
export type Diagnostic = {
  readonly line?: number;
  readonly column?: number;
  readonly severity: 'error' | 'warning';
  /** Such as "TS2322". */
  readonly code: string;
  readonly message: string;
  /** The line of source. */
  readonly source?: string;
};

const OPTIONS = [
  ['--noEmit', '--pretty', 'false', '--strict', '--noUnusedLocals', '--noImplicitReturns', '--noFallthroughCasesInSwitch'],
  [
    '--target',
    'es2023',
    '--module',
    'esnext',
    '--moduleResolution',
    'bundler',
    '--jsx',
    'preserve',
    '--skipLibCheck',
    '--types',
    'node',
  ],
].flat();
const PLACED = /^[^(]+\((\d+),(\d+)\): (error|warning) (TS\d+): (.*)$/;
const UNPLACED = /^(error|warning) (TS\d+): (.*)$/;
/** "Declared but never used": worth saying, but the program is right. */
const UNUSED = new Set(['TS6133', 'TS6138', 'TS6192', 'TS6196', 'TS6198', 'TS6199']);
const MAX_DIAGNOSTICS = 500;

/**
 * Checks `source`, one module, with the TypeScript compiler in strict mode, in a folder of its own that is gone afterwards.
 * It may import the packages that are installed beside the compiler, and nothing relative to itself.
 *
 * @throws TroupeError FAILED_PRECONDITION when there is no compiler, INTERNAL when it fails.
 */
export async function reviewSource(source: string, extension: string, signal: AbortSignal): Promise<Diagnostic[]> {
  // The compiler is native and has no API for programs: it is run as a command.
  const manifest = await installed('typescript', () => createRequire(import.meta.url).resolve('typescript/package.json'));
  const folder = await mkdtemp(join(tmpdir(), 'troupe-review-'));
  try {
    const file = `source${extension}`;
    await writeFile(join(folder, file), source);
    await symlink(dirname(dirname(manifest)), join(folder, 'node_modules'), 'junction');
    const lines: string[] = [];
    const { exitCode, stderr } = await runNode({
      args: [join(dirname(manifest), 'bin', 'tsc'), ...OPTIONS, file],
      cwd: folder,
      signal,
      onLine: (line) => {
        if (lines.length < MAX_DIAGNOSTICS * 10) lines.push(line);
      },
    });
    const diagnostics = parseDiagnostics(lines, source);
    if (exitCode !== 0 && diagnostics.length === 0) {
      const said = stderr.trim() || lines.join('\n').slice(0, 1000);
      throw new TroupeError('INTERNAL', 'COMPILER_FAILED', `the compiler ended with exit code ${exitCode}: ${said}`);
    }
    return diagnostics;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Reads the compiler's output; at most 500. A line that starts with a blank continues the message before. */
export function parseDiagnostics(lines: readonly string[], source: string): Diagnostic[] {
  const sourceLines = source.split(/\r?\n/);
  const diagnostics: Diagnostic[] = [];
  for (const line of lines) {
    const placed = PLACED.exec(line);
    const found = placed ?? UNPLACED.exec(line);
    const last = diagnostics.at(-1);
    if (found !== null) {
      if (diagnostics.length === MAX_DIAGNOSTICS) break;
      const [severity = '', code = '', message = ''] = found.slice(-3);
      const said = { severity: severity === 'warning' || UNUSED.has(code) ? 'warning' : 'error', code, message } as const;
      if (placed === null) diagnostics.push(said);
      else {
        const at = Number(placed[1]);
        diagnostics.push({ line: at, column: Number(placed[2]), ...said, source: (sourceLines[at - 1] ?? '').trim() });
      }
    } else if (last !== undefined && /^\s+\S/.test(line)) {
      diagnostics[diagnostics.length - 1] = { ...last, message: `${last.message}\n${line.trimEnd()}` };
    }
  }
  return diagnostics;
}
