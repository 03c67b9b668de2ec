import { TestEnvironment } from 'jest-environment-node';

const SETTLE_MS = 5_000;

/** What a test file must give back. The pipes of a child process go with its ProcessWrap. */
const OWNED = new Set([
  'Timeout',
  'Immediate',
  'TCPSocketWrap',
  'TCPServerWrap',
  'PipeServerWrap',
  'UDPWrap',
  'ProcessWrap',
  'FSEventWrap',
]);

/**
 * A test file fails when timers, sockets, servers or processes that it opened are left after its last hook. (Not a hook
 * itself: Jest runs hooks of setup files before those of the test file.) Unreferenced timers are not seen.
 */
export default class Environment extends TestEnvironment {
  #before = new Map();

  async handleTestEvent(event, state) {
    if (event.name === 'setup') this.#before = openResources();
    if (event.name !== 'run_finish') return;
    const left = await this.#leftOpen();
    if (left.length > 0) state.unhandledErrors.push(new Error(`the test file leaves open: ${left.join(', ')}`));
  }

  /** What is open now and was not at the start, once things had time to close. */
  async #leftOpen() {
    const endMs = performance.now() + SETTLE_MS;
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve));
      const left = [...openResources()]
        .map(([kind, count]) => ({ kind, more: count - (this.#before.get(kind) ?? 0) }))
        .filter(({ more }) => more > 0);
      if (left.length === 0 || performance.now() > endMs) return left.map(({ kind, more }) => `${more} ${kind}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

function openResources() {
  const counts = new Map();
  for (const kind of process.getActiveResourcesInfo()) {
    if (OWNED.has(kind)) counts.set(kind, (counts.get(kind) ?? 0) + 1);
  }
  return counts;
}
