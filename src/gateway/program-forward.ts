import type { Clock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import { endpointText, NODE_SERVICE } from '../core/instance.js';
import type { ClusterView } from '../discovery/view.js';
import type { Hello } from '../gen/troupe/v1/messaging.js';
import type { ListenedStream } from '../rpc/byte-stream.js';
import { openChannel } from '../rpc/channels.js';
import { type Duplex, RawClient } from '../rpc/raw-client.js';
import { RenewedChannel } from '../rpc/renewed-channel.js';
import { holderOf, nodeForProgram } from './placement.js';

export interface ProgramForwardDeps {
  /** This gateway. */
  readonly id: string;
  readonly view: ClusterView;
  readonly clock: Clock;
  /** The process that a resume token is of; undefined for what is no token. */
  readonly nodeOfToken: (token: string) => string | undefined;
}

interface NodeChannels {
  readonly channels: RenewedChannel;
  readonly client: RawClient;
}

const CONNECT = '/troupe.v1.Messaging/Connect';
/** Bytes that may be on their way in one direction before the other end has to wait. */
const MAX_ON_THE_WAY = 128 * 1024;
/** Programs that were sent to a node show in the view of the cluster within this. */
const PLACED_MS = 2_000;

/** Passes the streams of programs that are agents on to nodes, frame by frame, without looking into them. */
export class ProgramForward {
  private readonly nodes = new Map<string, NodeChannels>();
  private readonly placed = new Map<string, number>();
  private readonly disarms = new Set<() => void>();
  private readonly stopListening: () => void;

  constructor(private readonly deps: ProgramForwardDeps) {
    this.stopListening = deps.view.onChange(({ removed }) => {
      for (const { service, endpoint } of removed) if (service === NODE_SERVICE) this.drop(endpointText(endpoint));
    });
  }

  /** Takes over a paused stream that is for a node; false for one that is for this gateway. @throws UNAVAILABLE, NOT_FOUND / UNKNOWN_SESSION. */
  readonly passOn = (hello: Hello, bytes: Buffer, stream: ListenedStream): boolean => {
    const { agentId, resumeToken } = hello;
    if (resumeToken === '' && agentId === '') return false;
    const address = resumeToken === '' ? this.place(hello) : this.find(resumeToken);
    if (address === undefined) return false;
    pipe(this.nodeAt(address).client, bytes, stream);
    return true;
  };

  close(): void {
    this.stopListening();
    for (const disarm of this.disarms) disarm();
    for (const { channels } of this.nodes.values()) channels.close();
    this.nodes.clear();
  }

  private place({ agentId, replica }: Hello): string {
    const holder = replica ? undefined : holderOf(this.deps.view.catalog, agentId);
    if (holder !== undefined) return endpointText(holder.endpoint);
    const { id, endpoint } = nodeForProgram(this.deps.view.catalog, (nodeId) => this.placed.get(nodeId) ?? 0);
    this.count(id, 1);
    const disarm = this.deps.clock.after(PLACED_MS, () => {
      this.disarms.delete(disarm);
      this.count(id, -1);
    });
    this.disarms.add(disarm);
    return endpointText(endpoint);
  }

  /** Undefined: it is ours, or nobody's. */
  private find(token: string): string | undefined {
    const id = this.deps.nodeOfToken(token);
    if (id === undefined || id === this.deps.id) return undefined;
    const node = this.deps.view.catalog.get({ service: NODE_SERVICE, id });
    return node === undefined ? undefined : endpointText(node.instance.endpoint);
  }

  private count(nodeId: string, change: number): void {
    const count = (this.placed.get(nodeId) ?? 0) + change;
    if (count > 0) this.placed.set(nodeId, count);
    else this.placed.delete(nodeId);
  }

  private nodeAt(address: string): NodeChannels {
    let node = this.nodes.get(address);
    if (node === undefined) {
      const channels = new RenewedChannel(() => openChannel(address), true);
      node = { channels, client: new RawClient(channels) };
      this.nodes.set(address, node);
    }
    return node;
  }

  /** The streams there end: their programs connect again. */
  private drop(address: string): void {
    this.nodes.get(address)?.channels.close();
    this.nodes.delete(address);
  }
}

function pipe(client: RawClient, first: Buffer, program: ListenedStream): void {
  const toProgram = new Flow(
    () => node.pause(),
    () => node.resume(),
  );
  const toNode = new Flow(
    () => program.pause(),
    () => program.resume(),
  );
  const node: Duplex = client.duplex(CONNECT, {
    message: (bytes) => program.write(bytes, toProgram.begin(bytes.length)),
    over: (error) => {
      if (error === undefined) program.end();
      else program.fail(lost(error));
    },
  });
  program.listener = {
    message: (bytes) => node.write(bytes, toNode.begin(bytes.length)),
    ended: () => node.end(),
    lost: () => node.cancel(),
  };
  node.write(first);
  program.resume();
}

/** One direction: lets its source wait while too much is on its way. */
class Flow {
  private bytes = 0;

  constructor(
    private readonly pause: () => void,
    private readonly resume: () => void,
  ) {}

  /** Gives what to call when they are on their way. */
  begin(bytes: number): () => void {
    const before = this.bytes;
    this.bytes += bytes;
    if (before < MAX_ON_THE_WAY && this.bytes >= MAX_ON_THE_WAY) this.pause();
    return () => {
      const wasFull = this.bytes >= MAX_ON_THE_WAY;
      this.bytes -= bytes;
      if (wasFull && this.bytes < MAX_ON_THE_WAY) this.resume();
    };
  }
}

/** What the transport says of a node that is gone; what the node itself said goes on as it is. */
function lost(error: TroupeError): TroupeError {
  if (error.reason !== error.code) return error;
  return new TroupeError('UNAVAILABLE', 'NODE_LOST', `the node behind this gateway was lost (${error.message}); connect again`, {
    retryAfterMs: 100,
    cause: error,
  });
}
