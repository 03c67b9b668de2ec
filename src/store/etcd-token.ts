import { abortable } from '../core/abort.js';
import { isAuthDisabled } from './etcd-errors.js';

/**
 * The token that etcd gives for a name and a password: fetched when first needed, shared by all calls, and fetched anew
 * once etcd refuses it (tokens expire after 5 minutes by etcd's default).
 */
export class EtcdToken {
  private fetching: Promise<string | undefined> | undefined;
  private value: string | undefined;

  constructor(private readonly fetch: () => Promise<string>) {}

  /** Undefined when etcd has authentication switched off. */
  get(signal?: AbortSignal): Promise<string | undefined> {
    this.fetching ??= this.start();
    return signal === undefined ? this.fetching : abortable(this.fetching, signal);
  }

  /** `token` (the last one fetched unless given) did not help: the next `get` fetches another, unless that has been done. */
  refused(token: string | undefined = this.value): void {
    if (token === this.value) this.fetching = undefined;
  }

  private async start(): Promise<string | undefined> {
    try {
      this.value = await this.fetch();
    } catch (error) {
      this.value = undefined;
      if (!isAuthDisabled(error)) {
        this.fetching = undefined;
        throw error;
      }
    }
    return this.value;
  }
}
