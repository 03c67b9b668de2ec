// Runs one function of a module in a process of its own, so that neither its memory nor its optimised code is another's.
import { Child } from './child.mjs';

const HOST = new URL('../roles/isolated.mjs', import.meta.url);

/** Gives what `module`'s export `name` gives for `params`, computed in a fresh process with garbage collection at hand. */
export async function isolated(module, name, params) {
  const child = await Child.start(HOST, { module, name }, { execArgv: ['--expose-gc'] });
  try {
    return await child.call('run', params, 300_000);
  } finally {
    await child.stop();
  }
}
