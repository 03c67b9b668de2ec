import type { Channel } from '@grpc/grpc-js';
import type { Client } from 'nice-grpc';
import { abortable, delay } from '../core/abort.js';
import { type Clock, systemClock } from '../core/clock.js';
import { type Random, systemRandom } from '../core/random.js';
import { RegistryDefinition } from '../gen/troupe/v1/registry.js';
import { openChannel } from '../rpc/channels.js';
import { createClient, type TimeoutOption } from '../rpc/client.js';
import { type LookUp, lookUp, replicaAddresses } from './replica-addresses.js';

export type RegistryClient = Client<typeof RegistryDefinition, TimeoutOption>;

interface Replica {
  readonly address: string;
  readonly channel: Channel;
  readonly client: RegistryClient;
}

export interface SessionDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly lookUp: LookUp;
}

/** How long a call to the registry may take. */
export const RPC_TIMEOUT_MS = 5_000;
/** How long a replica that came or went behind a name may stay unnoticed. */
const LOOK_UP_MS = 5_000;

/**
 * The registry replicas that a process knows, and the one that it uses now. A replica that fails is left for the next: all
 * tell the same truth. A name may stand for several, whose number changes: those of a headless Service of Kubernetes.
 */
export class RegistrySession {
  private replicas: readonly Replica[];
  /** Stays in use, as long as it works, also when its name no longer stands for it. */
  private current: Replica;

  /** `addresses`: at least one `host:port`. Each is a replica until `follow` has looked the names up. */
  constructor(
    private readonly addresses: readonly string[],
    private readonly deps: SessionDeps = { clock: systemClock, random: systemRandom, lookUp },
  ) {
    this.replicas = addresses.map(open);
    const [first] = this.replicas;
    if (first === undefined) throw new RangeError('a session needs at least one registry address');
    this.current = first;
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

  /**
   * Looks names up once; to be awaited before the first call, so that not every process uses the same replica. Never rejects: where nobody
   * answers, the names stay what they are.
   */
  async lookUpNames(signal: AbortSignal): Promise<void> {
    await this.refresh(signal);
    const [first] = this.replicas;
    if (first !== undefined && !this.replicas.includes(this.current)) this.use(first);
  }

  /** Keeps the replicas in step with what names stand for until `signal` aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await delay(LOOK_UP_MS, signal, this.deps.clock).catch(() => undefined);
      await this.refresh(signal);
    }
  }

  /** Turns to the next replica, if `failed` is still the one in use. */
  turnFrom(failed: RegistryClient): void {
    if (this.current.client !== failed) return;
    const next = this.replicas[(this.replicas.indexOf(this.current) + 1) % this.replicas.length];
    if (next !== undefined) this.use(next);
  }

  /**
   * Turns to the next replica, and gives up the connection to `silent`: a peer that vanished without a word leaves one that stays dead,
   * which TCP would notice much later.
   */
  abandon(silent: RegistryClient): void {
    const replica = [...this.replicas, this.current].find(({ client }) => client === silent);
    if (replica === undefined) return;
    this.turnFrom(silent);
    this.replicas = this.replicas.map((each) => (each === replica ? open(each.address) : each));
    if (this.current === replica) this.current = this.replicas.find(({ address }) => address === replica.address) ?? replica;
    if (this.current !== replica) replica.channel.close();
  }

  close(): void {
    for (const { channel } of new Set([...this.replicas, this.current])) channel.close();
  }

  private use(replica: Replica): void {
    const left = this.current;
    this.current = replica;
    if (left !== replica && !this.replicas.includes(left)) left.channel.close();
  }

  private async refresh(signal: AbortSignal): Promise<void> {
    const found = await abortable(replicaAddresses(this.addresses, this.deps), signal).catch(() => undefined);
    if (found !== undefined && !signal.aborted) this.replace(found);
  }

  private replace(addresses: readonly string[]): void {
    const known = new Map([this.current, ...this.replicas].map((replica) => [replica.address, replica]));
    this.replicas = addresses.map((address) => known.get(address) ?? open(address));
    for (const replica of known.values()) {
      if (replica !== this.current && !this.replicas.includes(replica)) replica.channel.close();
    }
  }
}

function open(address: string): Replica {
  const channel = openChannel(address);
  return { address, channel, client: createClient(RegistryDefinition, channel) };
}
