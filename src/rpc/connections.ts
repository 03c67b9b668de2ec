import type { Http2Server, ServerHttp2Session } from 'node:http2';
import type * as grpc from '@grpc/grpc-js';

/**
 * What a peer may send on a connection, and on a stream, before it is read: HTTP/2's 64 KiB make whoever sends more at once wait for the other end. More than what
 * sockets buffer, both ways at once, would stop both ends for ever (Node.js does not read while a write waits): 1 MiB is far below that on TCP.
 */
export const FLOW_WINDOW_BYTES = 1024 * 1024;

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
    // grpc-js has no option for it at servers. What clients have sent before they hear of it went by the 64 KiB.
    session.settings({ initialWindowSize: FLOW_WINDOW_BYTES });
    session.setLocalWindowSize(FLOW_WINDOW_BYTES);
    const { remoteAddress, remotePort } = session.socket;
    const peer = `${remoteAddress}:${remotePort}`;
    this.sessions.set(peer, session);
    session.once('close', () => {
      if (this.sessions.get(peer) === session) this.sessions.delete(peer);
    });
  }
}
