// One process per role. The parent calls methods of a child over IPC; a child ends when its parent is gone.
import { fork } from 'node:child_process';

const START_MS = 20_000;
const STOP_MS = 10_000;

/** A role in a process of its own. */
export class Child {
  #process;
  #calls = new Map();
  #next = 1;
  #exit;

  /** Starts `module` (a URL) and resolves when it says that it is up. */
  static async start(module, params = {}, { execArgv = [] } = {}) {
    const child = new Child(module, execArgv);
    try {
      child.info = await child.call('start', params, START_MS);
      return child;
    } catch (error) {
      await child.stop();
      throw error;
    }
  }

  constructor(module, execArgv) {
    this.#process = fork(module, [], { execArgv, stdio: ['ignore', 'ignore', 'inherit', 'ipc'], serialization: 'advanced' });
    this.#process.on('message', ({ id, result, error }) => {
      const call = this.#calls.get(id);
      this.#calls.delete(id);
      if (error === undefined) call?.resolve(result);
      else call?.reject(new Error(error));
    });
    this.#exit = new Promise((resolve) => this.#process.once('exit', resolve));
    this.#exit.then((code) => {
      for (const { reject } of this.#calls.values()) reject(new Error(`${module} ended with ${code}`));
      this.#calls.clear();
    });
  }

  get pid() {
    return this.#process.pid;
  }

  async call(method, params, timeoutMs = 120_000) {
    const id = this.#next++;
    let timer;
    try {
      return await new Promise((resolve, reject) => {
        this.#calls.set(id, { resolve, reject });
        timer = setTimeout(() => reject(new Error(`${method} took longer than ${timeoutMs} ms`)), timeoutMs);
        if (!this.#process.connected) reject(new Error('the process has ended'));
        else this.#process.send({ id, method, params });
      });
    } finally {
      clearTimeout(timer);
      this.#calls.delete(id);
    }
  }

  /** Microseconds of CPU, user and system, since its start. */
  cpu() {
    return this.call('cpu');
  }

  async stop() {
    if (this.#process.connected) this.#process.send({ id: 0, method: 'stop' });
    const timer = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MS);
    await this.#exit;
    clearTimeout(timer);
  }
}

/** The child's side: `methods.start(params)` and whatever else the parent calls; `methods.stop()` where there is something to end. */
export function serveParent(methods) {
  const all = {
    cpu: () => {
      const { user, system } = process.cpuUsage();
      return user + system;
    },
    ...methods,
  };
  const end = async () => {
    await methods.stop?.();
    process.exit(0);
  };
  process.on('disconnect', () => process.exit(0));
  process.on('message', async ({ id, method, params }) => {
    try {
      if (method === 'stop') return await end();
      const result = await all[method](params);
      process.send({ id, result });
    } catch (error) {
      process.send({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  });
}
