import { DEFAULTS } from '../config.js';
import { choice, etcdEndpoints, storePrefix, text } from './kind.js';
import { setting } from './setting.js';

/** Where a registry keeps the truth. */
export const STORE_SETTINGS = {
  store: setting({
    flag: '--store <kind>',
    env: ['TROUPE_STORE'],
    kind: choice(['memory', 'etcd']),
    roles: ['registry'],
    default: 'memory',
    description: 'where the truth lives; memory ends with the process',
  }),
  etcd: setting({
    flag: '--etcd <host:port,...>',
    env: ['TROUPE_ETCD_ENDPOINTS'],
    kind: etcdEndpoints,
    roles: ['registry'],
    default: [DEFAULTS.etcd] as readonly string[],
    description: 'etcd endpoints, also as http:// or https://',
  }),
  etcdUser: setting({
    flag: '--etcd-user <name>',
    env: ['TROUPE_ETCD_USER'],
    kind: text,
    roles: ['registry'],
    description: 'etcd user',
  }),
  etcdPassword: setting({
    flag: '--etcd-password <password>',
    env: ['TROUPE_ETCD_PASSWORD'],
    kind: text,
    roles: ['registry'],
    secret: true,
    description: 'its password; better by a file or the environment',
  }),
  etcdPasswordFile: setting({
    flag: '--etcd-password-file <file>',
    env: ['TROUPE_ETCD_PASSWORD_FILE'],
    kind: text,
    roles: ['registry'],
    description: 'file with its password, such as a mounted secret',
  }),
  etcdCa: setting({
    flag: '--etcd-ca <file>',
    env: ['TROUPE_ETCD_CA'],
    kind: text,
    roles: ['registry'],
    description: 'certificate authority of etcd, PEM',
  }),
  etcdCert: setting({
    flag: '--etcd-cert <file>',
    env: ['TROUPE_ETCD_CERT'],
    kind: text,
    roles: ['registry'],
    description: 'certificate to show to etcd, PEM',
  }),
  etcdKey: setting({
    flag: '--etcd-key <file>',
    env: ['TROUPE_ETCD_KEY'],
    kind: text,
    roles: ['registry'],
    description: 'its key, PEM',
  }),
  prefix: setting({
    flag: '--prefix <path>',
    env: ['TROUPE_PREFIX'],
    kind: storePrefix,
    roles: ['registry'],
    default: DEFAULTS.prefix,
    description: 'prefix of all keys in the store',
  }),
} as const;
