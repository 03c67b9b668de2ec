import type { Messenger } from '../../src/agent/messages.js';
import { TroupeError } from '../../src/core/errors.js';
import type { PostBox, PostOffice } from '../../src/runtime/post-office.js';

const refuse = () => Promise.reject(new TroupeError('UNAVAILABLE', 'NO_POST', 'nobody carries messages here'));

const messenger: Messenger = {
  send: refuse,
  request: refuse,
  // biome-ignore lint/correctness/useYield: there is nothing to give.
  async *stream() {
    return refuse();
  },
  broadcast: refuse,
};

/** For agents that talk to nobody: what they send is refused. */
export const silentPost: PostOffice = {
  open: (): PostBox => ({ ...messenger, within: () => messenger, subscribe: refuse, close: () => undefined }),
};

/** What a context has beside what it knows, for agents that talk to nobody. */
export const silentContext = { ...messenger, subscribe: refuse };
