import { TroupeError } from '../core/errors.js';
import type { Instance, InstanceKey } from '../core/instance.js';

/** Who asked for a change. Hears once what became of it. */
export interface Asker {
  done(): void;
  failed(error: unknown): void;
}

/** What the registry has of an instance, as far as it has said. */
export type Known = Instance | 'nothing' | 'unknown';

/** A call that asked for instances to be registered together or not at all. */
export interface Put {
  readonly registrations: readonly Registration[];
  /** What was wanted of each before. */
  readonly before: readonly (Instance | undefined)[];
  readonly asker: Asker;
}

/** A call that waits until these are as it wants them. */
export interface Wait {
  readonly left: Set<Registration>;
  readonly asker: Asker;
}

/** One instance: what shall be in the registry, what is known to be there, and who waits until that is the same. */
export class Registration {
  /** undefined: it shall not be registered. */
  wanted: Instance | undefined;
  known: Known = 'nothing';
  /** What was sent earlier may come into effect until then. */
  doubtUntilMs = 0;
  /** To be written alone, since it was refused together with others. */
  alone = false;
  /** The call that `wanted` came with, until the registry has it. */
  put: Put | undefined;
  private readonly waits = new Set<Wait>();

  readonly key: InstanceKey;

  /** `isSelf`: the process itself, which registers as the lease begins, and of which only the status changes. */
  constructor(
    { service, id }: InstanceKey,
    private readonly isSelf = false,
  ) {
    this.key = { service, id };
  }

  /** How the registry is told what is wanted. */
  get kind(): 'register' | 'remove' | 'status' {
    if (this.wanted === undefined) return 'remove';
    return this.isSelf && this.known !== 'nothing' ? 'status' : 'register';
  }

  /** Whether the registry is known to have what is wanted. */
  get isThere(): boolean {
    return this.known === (this.wanted ?? 'nothing');
  }

  /** Whether somebody waits for what is wanted. */
  get isAwaited(): boolean {
    return this.put !== undefined || this.waits.size > 0;
  }

  /** The lease is another: nothing that was known still holds. */
  forget(): void {
    this.known = 'nothing';
    this.doubtUntilMs = 0;
    this.alone = false;
  }

  await(wait: Wait): void {
    this.waits.add(wait);
  }

  /** Ends the waits: it is as they want it, or they want what nobody does any more, or `failure`. */
  conclude(failure?: { readonly error: unknown }): void {
    for (const { left, asker } of this.waits) {
      if (!left.delete(this)) continue;
      if (failure !== undefined) {
        left.clear();
        asker.failed(failure.error);
      } else if (left.size === 0) asker.done();
    }
    this.waits.clear();
  }
}

export function withdrawn(): TroupeError {
  return new TroupeError('ABORTED', 'WITHDRAWN', 'it was removed, or put anew, before it was registered');
}
