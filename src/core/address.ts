const HOST_PORT = /^(?:\[[0-9A-Fa-f:.]+\]|[^\s:/@]+):(\d{1,5})$/;

/** What `isHostPort` asks for. */
export const HOST_PORT_RULE = 'host:port with a port from 1 to 65535';

/** Whether a text is an address to connect to: a name or an IP address (IPv6 in brackets), and a port. */
export function isHostPort(text: string): boolean {
  const port = Number(HOST_PORT.exec(text)?.[1] ?? 0);
  return port >= 1 && port <= 65_535;
}

/** Whether a host stands for all addresses of a machine, however it is written: one can listen on it, and reach nobody by it. */
export function isUnspecified(host: string): boolean {
  const url = `http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}`;
  return URL.canParse(url) && ['0.0.0.0', '[::]', '[::ffff:0:0]'].includes(new URL(url).hostname);
}
