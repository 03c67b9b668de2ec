import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { messageOf, TroupeError } from '../core/errors.js';
import { endpointText } from '../core/instance.js';
import type { Logger } from '../telemetry/logger.js';

/** What the operations port tells. */
export interface OpsFacts {
  /** Facts that both answers repeat: role, id, version. */
  readonly identity: Readonly<Record<string, string>>;
  /** Whether the process is ready for work. */
  readonly isReady: () => boolean;
  /** The metrics in Prometheus' text format; undefined where there are none. */
  readonly metrics: (() => Promise<{ readonly type: string; readonly text: string }>) | undefined;
}

export interface OpsPort {
  /** 0: a free one. */
  readonly port: number | 'off';
  /** Whether somebody asked for just this port: then no other will do. */
  readonly explicit: boolean;
}

/** Of people and scrapers there are few. */
const MAX_CONNECTIONS = 64;
const REQUEST_TIMEOUT_MS = 5_000;
/** Of requests that take too long: Node.js looks for them every 30 s otherwise, and as long they would keep probes out. */
const LOOK_EVERY_MS = 1_000;

/** HTTP for operators: `/health`, `/ready`, `/metrics`. Reads only, and nothing of what an agent handles. */
export class OpsServer {
  private readonly server: Server;

  constructor(
    private readonly facts: OpsFacts,
    private readonly logger: Logger,
  ) {
    this.server = createServer(
      { requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS, connectionsCheckingInterval: LOOK_EVERY_MS },
      (request, response) => {
        this.answer(request, response).catch((error: unknown) => {
          this.logger.error('a request to the operations port failed', { error });
          response.destroy();
        });
      },
    );
    this.server.maxConnections = MAX_CONNECTIONS;
    // It must not keep a process alive that has ended.
    this.server.unref();
  }

  /** Gives where it listens, `host:port`; undefined where it is off. @throws UNAVAILABLE / PORT_IN_USE, INVALID_ARGUMENT / CANNOT_LISTEN. */
  async listen(host: string, { port, explicit }: OpsPort): Promise<string | undefined> {
    if (port === 'off') return undefined;
    try {
      await this.bind(host, port);
    } catch (error) {
      if (explicit || !isInUse(error)) throw cannotListen(endpointText({ host, port }), error);
      await this.bind(host, 0);
      this.logger.warn('the default operations port is in use; took a free one', { port, taken: this.port });
    }
    return endpointText({ host, port: this.port });
  }

  async close(): Promise<void> {
    if (!this.server.listening) return;
    await new Promise((resolve) => {
      this.server.close(resolve);
      this.server.closeAllConnections();
    });
  }

  private get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  private bind(host: string, port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.server.once('error', reject);
      this.server.listen(port, host, () => {
        this.server.off('error', reject);
        resolve();
      });
    });
  }

  private async answer({ method, url = '' }: IncomingMessage, response: ServerResponse): Promise<void> {
    if (method !== 'GET' && method !== 'HEAD') {
      response.setHeader('allow', 'GET, HEAD');
      return json(response, 405, { error: `${method} is not allowed; use GET` });
    }
    const { identity, isReady, metrics } = this.facts;
    switch (url.split('?', 1)[0]) {
      case '/health':
        return json(response, 200, { status: 'alive', ...identity });
      case '/ready':
        return isReady()
          ? json(response, 200, { status: 'ready', ...identity })
          : json(response, 503, { status: 'not ready', ...identity });
      case '/metrics': {
        if (metrics === undefined) return json(response, 404, { error: 'metrics are off; start without --no-metrics' });
        const { type, text } = await metrics();
        response.writeHead(200, { 'content-type': type }).end(text);
        return;
      }
      default:
        return json(response, 404, { error: 'there are /health, /ready and /metrics' });
    }
  }
}

function json(response: ServerResponse, status: number, body: Readonly<Record<string, string>>): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}

function isInUse(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
}

function cannotListen(address: string, error: unknown): TroupeError {
  return isInUse(error)
    ? new TroupeError(
        'UNAVAILABLE',
        'PORT_IN_USE',
        `cannot listen on ${address}: the operations port is in use; give another --ops-port (TROUPE_OPS_PORT), 0 for a free one, or off`,
        { cause: error },
      )
    : new TroupeError('INVALID_ARGUMENT', 'CANNOT_LISTEN', `cannot listen on ${address}: ${messageOf(error)}`, { cause: error });
}
