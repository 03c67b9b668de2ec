import { beforeAll } from '@jest/globals';
import { startEtcd, type TestEtcd } from '../support/etcd.js';
import { testStoreContract } from './store.js';

let etcd: TestEtcd;

beforeAll(async () => {
  etcd = await startEtcd();
});

testStoreContract('EtcdStore', async () => ({
  store: etcd.open(),
  compact: (revision) => etcd.compact(revision),
}));
