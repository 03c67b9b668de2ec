import type { Channel } from '@grpc/grpc-js';
import type { Client } from 'nice-grpc';
import { RegistryDefinition } from '../gen/troupe/v1/registry.js';
import { openChannel } from '../rpc/channels.js';
import { createClient, type TimeoutOption } from '../rpc/client.js';

export type RegistryClient = Client<typeof RegistryDefinition, TimeoutOption>;

interface Replica {
  readonly address: string;
  readonly channel: Channel;
  readonly client: RegistryClient;
}

/**
 * The registry replicas that a process knows, and the one that it uses now. A replica that fails is left for the next: all
 * tell the same truth.
 */
export class RegistrySession {
  private readonly replicas: Replica[];
  private index = 0;

  /** `addresses`: at least one `host:port`. */
  constructor(addresses: readonly string[]) {
    this.replicas = addresses.map(open);
  }

  get client(): RegistryClient {
    return this.current.client;
  }

  /** Of all replicas. */
  get clients(): readonly RegistryClient[] {
    return this.replicas.map(({ client }) => client);
  }

  get channel(): Channel {
    return this.current.channel;
  }

  get address(): string {
    return this.current.address;
  }

  /** Turns to the next replica, if `failed` is still the one in use. */
  turnFrom(failed: RegistryClient): void {
    if (this.current.client === failed) this.index = (this.index + 1) % this.replicas.length;
  }

  /**
   * Turns to the next replica, and gives up the connection to `silent`: a peer that vanished without a word leaves one that stays dead,
   * which TCP would notice much later.
   */
  abandon(silent: RegistryClient): void {
    const index = this.replicas.findIndex(({ client }) => client === silent);
    const replica = this.replicas[index];
    if (replica === undefined) return;
    this.turnFrom(silent);
    this.replicas[index] = open(replica.address);
    replica.channel.close();
  }

  close(): void {
    for (const { channel } of this.replicas) channel.close();
  }

  private get current(): Replica {
    const replica = this.replicas[this.index];
    if (replica === undefined) throw new RangeError('a session needs at least one registry address');
    return replica;
  }
}

function open(address: string): Replica {
  const channel = openChannel(address);
  return { address, channel, client: createClient(RegistryDefinition, channel) };
}
