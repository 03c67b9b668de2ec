import type { Http2Server, ServerHttp2Session } from 'node:http2';
import type * as grpc from '@grpc/grpc-js';

/**
 * The connections of a server, by their peers' addresses. A call that ends early was cancelled by its caller, or lost with its
 * connection; grpc-js tells both in the same way.
 */
export class Connections {
  private readonly sessions = new Map<string, ServerHttp2Session>();

  /** Call once the server is bound. */
  watch(server: grpc.Server): void {
    const http2Servers = Reflect.get(server, 'http2Servers') as ReadonlyMap<Http2Server, unknown>;
    for (const http2Server of http2Servers.keys()) http2Server.on('session', (session) => this.add(session));
  }

  /** Whether the connection to `peer`, as `getPeer()` names it, is there. */
  has(peer: string): boolean {
    return this.sessions.get(peer)?.destroyed === false;
  }

  private add(session: ServerHttp2Session): void {
    const { remoteAddress, remotePort } = session.socket;
    const peer = `${remoteAddress}:${remotePort}`;
    this.sessions.set(peer, session);
    session.once('close', () => {
      if (this.sessions.get(peer) === session) this.sessions.delete(peer);
    });
  }
}
