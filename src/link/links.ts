import { Client, credentials, Metadata, type ServerDuplexStream } from '@grpc/grpc-js';
import type { Clock } from '../core/clock.js';
import { TroupeError } from '../core/errors.js';
import { endpointText, GATEWAY_SERVICE, type Instance, NODE_SERVICE } from '../core/instance.js';
import type { Random } from '../core/random.js';
import { randomName } from '../core/random.js';
import type { ClusterView } from '../discovery/view.js';
import type { LinkHello } from '../gen/troupe/internal/v1/link.js';
import type { ChannelPool } from '../rpc/channels.js';
import type { RpcServer } from '../rpc/server.js';
import type { Logger } from '../telemetry/logger.js';
import { FramePool } from './frame-pool.js';
import { LinkSession, type LinkStream, type SessionHandlers } from './link-session.js';
import { LinkTraffic } from './link-traffic.js';
import { Peer, type PeerDeps, type PeerHandlers } from './peer.js';

const SERVICE = 'troupe.internal.v1.Link';
const OPEN = `/${SERVICE}/Open`;
/** Whoever opens a link says who it is within this. */
const HELLO_MS = 5_000;
/** A node that has drained leaves when its work is done: what it has to say about that may come after the news that it left. */
const LAST_WORDS_MS = 1_000;

export interface LinksDeps {
  readonly nodeId: string;
  readonly channels: ChannelPool;
  readonly view: ClusterView;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** The links of this process: one to each other process that it has something to say to. */
export class Links {
  private readonly peers = new Map<string, Peer>();
  readonly traffic = new LinkTraffic();
  /** Where each was when it was last dialled. */
  private readonly dialled = new Map<string, string>();
  private readonly leaving = new Set<() => void>();
  private readonly deps: PeerDeps;
  private readonly stopListening: () => void;
  private ending = false;

  constructor(
    private readonly options: LinksDeps,
    handlers: PeerHandlers,
  ) {
    const { nodeId, clock, random, logger, view } = options;
    let attempts = 0n;
    const nextAttempt = () => {
      attempts += 1n;
      return attempts;
    };
    const life = randomName(random, 12);
    this.deps = {
      nodeId,
      life,
      clock,
      random,
      logger,
      handlers,
      traffic: this.traffic,
      pool: new FramePool(),
      nextAttempt,
      dial: (id) => this.dial(id),
    };
    this.stopListening = view.onChange(({ removed, put }) => {
      for (const instance of removed) if (isProcess(instance)) this.left(instance);
      for (const { instance } of put) if (isProcess(instance)) this.isAt(instance);
    });
  }

  /** Takes links that others open. */
  mount(server: RpcServer): void {
    server.mountStreams(SERVICE, { Open: (call) => this.accept(call) });
  }

  /** The process `nodeId`, whether it is known or not. */
  to(nodeId: string): Peer {
    let peer = this.peers.get(nodeId);
    if (peer === undefined) {
      peer = new Peer(nodeId, this.deps);
      this.peers.set(nodeId, peer);
      if (this.ending) void peer.drain();
    }
    return peer;
  }

  /** How the links are now. */
  counts(): { readonly up: number; readonly down: number; readonly queuedBytes: number } {
    let up = 0;
    let queuedBytes = 0;
    for (const peer of this.peers.values()) {
      if (peer.isUp) up += 1;
      queuedBytes += peer.queuedBytes;
    }
    return { up, down: this.peers.size - up, queuedBytes };
  }

  /** Tells all others that this process will end: they send nothing new. Resolves when all that they sent before they knew is here. */
  async drain(): Promise<void> {
    this.ending = true;
    await Promise.all([...this.peers.values()].map((peer) => peer.drain()));
  }

  /** Ends all links when what is queued was sent. */
  finish(): void {
    for (const peer of this.peers.values()) peer.finish();
  }

  close(): void {
    this.stopListening();
    for (const cancel of this.leaving) cancel();
    for (const peer of this.peers.values()) peer.close(new TroupeError('CANCELLED', 'CANCELLED', 'this process ends'));
    this.peers.clear();
  }

  private accept(call: ServerDuplexStream<Buffer, Buffer>): void {
    let disarm: () => void = () => undefined;
    const stranger: SessionHandlers = {
      hello: (session, hello) => {
        disarm();
        this.welcome(session, hello);
      },
      welcome: () => needHello(),
      envelope: () => needHello(),
      task: () => needHello(),
      outcome: () => needHello(),
      drains: () => needHello(),
      ended: () => disarm(),
    };
    const session = new LinkSession(call, false, this.deps, stranger);
    disarm = this.deps.clock.after(HELLO_MS, () =>
      session.abort(new TroupeError('DEADLINE_EXCEEDED', 'NO_HELLO', `no hello came within ${HELLO_MS} ms`)),
    );
  }

  private welcome(session: LinkSession, hello: LinkHello): void {
    const { nodeId } = this.deps;
    if (hello.toNodeId !== nodeId)
      throw new TroupeError('NOT_FOUND', 'WRONG_NODE', `this is "${nodeId}", not "${hello.toNodeId}"`, {
        metadata: { started: 'false' },
      });
    if (hello.nodeId === '' || hello.nodeId === nodeId)
      throw new TroupeError('INVALID_ARGUMENT', 'INVALID_FIELD', 'hello.node_id: must name another process');
    this.to(hello.nodeId).accept(session, hello);
  }

  private dial(nodeId: string): LinkStream | undefined {
    const instance = this.find(nodeId);
    if (instance === undefined) return undefined;
    const address = endpointText(instance.endpoint);
    this.dialled.set(nodeId, address);
    const channelOverride = this.options.channels.get(address);
    const client = new Client('', credentials.createInsecure(), { channelOverride });
    return client.makeBidiStreamRequest(OPEN, identity, identity, new Metadata());
  }

  private find(nodeId: string): Instance | undefined {
    const { catalog } = this.options.view;
    return (catalog.get({ service: NODE_SERVICE, id: nodeId }) ?? catalog.get({ service: GATEWAY_SERVICE, id: nodeId }))
      ?.instance;
  }

  /** A process may have come back elsewhere without having been seen to leave: while the control plane was away, for instance. */
  private isAt({ id, endpoint }: Instance): void {
    const known = this.dialled.get(id);
    const address = endpointText(endpoint);
    if (known === undefined || known === address) return;
    // Dialled anew where something waits.
    this.dialled.delete(id);
    this.peers.get(id)?.moved();
    if (!this.isInUse(known)) this.options.channels.drop(known);
  }

  /** The cluster has lost a process: what is under way there ends at once, since a frozen process answers nobody. */
  private left({ id, endpoint, status }: Instance): void {
    const lose = () => {
      // It may be back under its name, or another may have its address.
      if (this.find(id) !== undefined) return;
      this.peers
        .get(id)
        ?.close(new TroupeError('UNAVAILABLE', 'NODE_LOST', `node "${id}" left the cluster`, { metadata: { node_id: id } }));
      this.peers.delete(id);
      this.dialled.delete(id);
      const address = endpointText(endpoint);
      if (this.isInUse(address)) return;
      this.options.channels.drop(address);
    };
    if (status !== 'stopping') {
      lose();
      return;
    }
    const cancel = this.deps.clock.after(LAST_WORDS_MS, () => {
      this.leaving.delete(cancel);
      lose();
    });
    this.leaving.add(cancel);
  }

  private isInUse(address: string): boolean {
    const { catalog } = this.options.view;
    for (const service of [NODE_SERVICE, GATEWAY_SERVICE])
      for (const { instance } of catalog.ofService(service)) if (endpointText(instance.endpoint) === address) return true;
    return false;
  }
}

function isProcess({ service }: Instance): boolean {
  return service === NODE_SERVICE || service === GATEWAY_SERVICE;
}

function needHello(): never {
  throw new TroupeError('FAILED_PRECONDITION', 'HELLO_REQUIRED', 'hello comes first');
}

const identity = (bytes: Buffer) => bytes;
