import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** A TCP relay on 127.0.0.1 between a client and `port`, which tests cut or freeze. */
export class TcpProxy {
  private readonly sockets = new Set<Socket>();
  private readonly server: Server;
  private state: 'relaying' | 'frozen' | 'refusing' = 'relaying';

  private constructor(private readonly port: number) {
    this.server = createServer((client) => this.relay(client));
  }

  static async start(port: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(port);
    proxy.server.listen(0, '127.0.0.1');
    await once(proxy.server, 'listening');
    return proxy;
  }

  /** `http://127.0.0.1:port`. */
  get endpoint(): string {
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy is closed');
    return `http://127.0.0.1:${address.port}`;
  }

  /** Connections that are open now. */
  get connections(): number {
    return [...this.sockets].filter(({ destroyed }) => !destroyed).length / 2;
  }

  /** Ends every connection, abruptly; new ones are taken. */
  cut(): void {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  /** From now on nothing gets through, and nobody is told. Connections of this time stay dead for ever. */
  freeze(): void {
    this.state = 'frozen';
    for (const socket of this.sockets) {
      socket.unpipe();
      socket.pause();
    }
  }

  /** Ends every connection, and each new one as soon as it is there. */
  refuse(): void {
    this.state = 'refusing';
    this.cut();
  }

  /** New connections work again. */
  accept(): void {
    this.state = 'relaying';
  }

  async stop(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    for (const socket of this.sockets) socket.destroy();
    await closed;
  }

  private relay(client: Socket): void {
    this.keep(client);
    if (this.state === 'refusing') client.resetAndDestroy();
    if (this.state === 'frozen') client.pause();
    if (this.state !== 'relaying') return;
    const upstream = connect(this.port, '127.0.0.1');
    this.keep(upstream);
    client.pipe(upstream).pipe(client);
    client.on('close', () => upstream.destroy());
    upstream.on('close', () => client.destroy());
  }

  private keep(socket: Socket): void {
    this.sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => this.sockets.delete(socket));
  }
}
