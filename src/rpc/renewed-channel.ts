import type { Channel } from '@grpc/grpc-js';

/** The channel of one call that is under way, and what to say when it has ended. */
export interface CallLease {
  readonly channel: Channel;
  /** `reset`: whether this end ended it, which sends RST_STREAM. Once. */
  end(reset: boolean): void;
}

/** Where calls get their channel. */
export interface ChannelSource {
  lease(): CallLease;
}

/** Node.js' HTTP/2 server ends a connection after 1,000 RST_STREAM in a burst (33 a second more are allowed after that), with all that is on it. */
const MAX_RESETS = 900;

interface Generation {
  readonly channel: Channel;
  active: number;
  resets: number;
}

/**
 * A channel whose callers may cancel as often as they like: it is renewed before its peer would take them for an attack and end the calls of
 * others with theirs. An old channel is closed when its last call has ended.
 */
export class RenewedChannel implements ChannelSource {
  private current: Generation | undefined;
  private readonly old = new Set<Generation>();
  private isClosed = false;

  /** `ofStreams`: calls go on for long, and many may be reset at once: those under way count as well. */
  constructor(
    private readonly open: () => Channel,
    private readonly ofStreams = false,
  ) {}

  /** Where the next call goes. */
  get channel(): Channel {
    return this.generation().channel;
  }

  lease(): CallLease {
    const generation = this.generation();
    generation.active += 1;
    return { channel: generation.channel, end: (reset) => this.ended(generation, reset) };
  }

  /** Ends what is under way with CANCELLED. */
  close(): void {
    this.isClosed = true;
    this.current?.channel.close();
    for (const { channel } of this.old) channel.close();
    this.old.clear();
  }

  private generation(): Generation {
    const { current } = this;
    if (this.ofStreams && current !== undefined && current.active + current.resets >= MAX_RESETS) {
      this.current = undefined;
      if (current.active > 0) this.old.add(current);
      else current.channel.close();
    }
    this.current ??= { channel: this.open(), active: 0, resets: 0 };
    return this.current;
  }

  private ended(generation: Generation, reset: boolean): void {
    generation.active -= 1;
    if (reset) generation.resets += 1;
    if (this.isClosed) return;
    if (generation === this.current && generation.resets >= MAX_RESETS) {
      this.current = undefined;
      this.old.add(generation);
    }
    if (generation.active === 0 && this.old.delete(generation)) generation.channel.close();
  }
}

/** For those who do not cancel. */
export function oneChannel(channel: Channel): ChannelSource {
  const lease: CallLease = { channel, end: () => undefined };
  return { lease: () => lease };
}
