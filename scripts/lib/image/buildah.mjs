import { execFileSync } from 'node:child_process';
import { join } from 'node:path';

/** buildah with a storage of its own, without a daemon and without a kernel's overlay: works as root wherever there are mounts. */
export class Buildah {
  #command;
  #globals;

  constructor(command, folder) {
    this.#command = command;
    this.#globals = ['--root', join(folder, 'storage'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
  }

  /** What it prints on standard output. @throws with what it printed on standard error. */
  run(args, options = {}) {
    return execFileSync(this.#command, [...this.#globals, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      maxBuffer: 64 * 2 ** 20,
      ...options,
    });
  }

  succeeds(args, options) {
    try {
      this.run(args, options);
      return true;
    } catch {
      return false;
    }
  }
}
