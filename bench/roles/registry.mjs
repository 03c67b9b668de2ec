// A registry, on an etcd where it is given one, else on a memory store.
import { serveParent } from '../lib/child.mjs';

let role;
serveParent({
  start: async ({ etcd }) => {
    const { startRegistry } = await import('../../dist/src/app/roles/registry.js');
    role = await startRegistry({
      id: 'bench-registry',
      host: '127.0.0.1',
      port: 0,
      logLevel: 'warn',
      prefix: '/bench',
      ops: { port: 'off', explicit: true },
      telemetry: { metrics: false, traceRatio: 0 },
      store: etcd === undefined ? { kind: 'memory' } : { kind: 'etcd', options: { endpoints: [etcd] } },
    });
    return { address: (await role.ready).grpc };
  },
  stop: () => role?.stop(),
});
