import { beforeAll } from '@jest/globals';
import { cleanUp } from '../support/clean-up.js';
import { startEtcd, type TestEtcd } from '../support/etcd.js';
import { TcpProxy } from '../support/tcp-proxy.js';
import { testElectionContract } from './election.js';

let etcd: TestEtcd;

beforeAll(async () => {
  etcd = await startEtcd();
});

testElectionContract('EtcdStore', () => ({
  connect: async () => {
    const proxy = await TcpProxy.start(etcd.port);
    cleanUp(() => proxy.stop());
    const store = etcd.open({ endpoints: [proxy.endpoint] });
    return { store, cut: () => proxy.freeze(), mend: () => proxy.accept() };
  },
}));
