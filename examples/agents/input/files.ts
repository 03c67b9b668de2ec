import { type FileHandle, open, realpath } from 'node:fs/promises';
import { isAbsolute, relative, resolve } from 'node:path';
import { TroupeError } from 'troupe';

/** The file at `path` as text. @throws TroupeError as `openInput`. */
export async function readInput(path: string, maxBytes: number): Promise<string> {
  const { file } = await openInput(path, maxBytes);
  try {
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}

/**
 * Opens a file that a task names; the one who opens it closes it. Tasks come from whoever may call the agent, so only files
 * within the working directory are given out, also when a symbolic link leads elsewhere.
 *
 * @throws TroupeError NOT_FOUND, INVALID_ARGUMENT (not a file, outside, over `maxBytes`) or FAILED_PRECONDITION (unreadable).
 */
export async function openInput(path: string, maxBytes: number): Promise<{ readonly file: FileHandle; readonly path: string }> {
  const refuse = (reason: string, toDo: string) => new TroupeError('INVALID_ARGUMENT', reason, `payload.path: "${path}" ${toDo}`);
  if (path.includes('\0')) throw refuse('PATH_INVALID', 'holds a NUL character; give the path of a file');
  const root = await realpath(process.cwd());
  let file: FileHandle | undefined;
  try {
    const found = await realpath(resolve(root, path));
    const fromRoot = relative(root, found);
    if (fromRoot.startsWith('..') || isAbsolute(fromRoot))
      throw refuse('PATH_OUTSIDE', "is outside of the agent's working directory; give a file within it");
    file = await open(found, 'r');
    const stats = await file.stat();
    if (!stats.isFile()) throw refuse('NOT_A_FILE', 'is not a file; give the path of a file');
    if (stats.size > maxBytes) throw refuse('FILE_TOO_LARGE', `has ${stats.size} bytes; at most ${maxBytes} are allowed`);
    return { file, path: found };
  } catch (error) {
    await file?.close();
    throw fileError(path, error);
  }
}

function fileError(path: string, error: unknown): unknown {
  switch (Object(error).code) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new TroupeError(
        'NOT_FOUND',
        'FILE_NOT_FOUND',
        `payload.path: there is no file "${path}"; paths are relative to the agent's working directory`,
      );
    case 'EACCES':
    case 'EPERM':
      return new TroupeError('FAILED_PRECONDITION', 'FILE_UNREADABLE', `the agent may not read "${path}"; give it the right to`);
    case 'ENAMETOOLONG':
    case 'ELOOP':
    case 'ENXIO':
      return new TroupeError('INVALID_ARGUMENT', 'PATH_INVALID', `payload.path: "${path.slice(0, 100)}" is no path of a file`);
    default:
      return error;
  }
}
