import type { Command } from 'commander';
import { examples } from '../../cli/cluster.js';
import type { CliIo } from '../../cli/io.js';
import type { EtcdOptions, EtcdTls } from '../../store/etcd-connection.js';
import type { RegistryConfig } from '../config.js';
import { runRole } from '../run-role.js';
import { readPem, readSecret } from '../settings/named-files.js';
import { addSettings } from '../settings/options.js';
import { readSettings, type Settings } from '../settings/read-settings.js';
import { listenConfig } from './member-config.js';

type RegistrySettings = Settings<'registry'>;

export function registryCommand(program: Command, io: CliIo): void {
  addSettings(
    program.command('registry').description('runs a registry: who is in the cluster, from etcd or from memory'),
    'registry',
  )
    .addHelpText(
      'after',
      examples(
        'troupe registry',
        'troupe registry --store etcd --etcd 127.0.0.1:2379',
        'troupe registry --store etcd --etcd https://etcd-0:2379,https://etcd-1:2379 --etcd-ca ca.pem',
      ),
    )
    .action(async (_flags: unknown, command: Command) => {
      const config = await registryConfig(await readSettings('registry', command, io));
      const { startRegistry } = await import('../roles/registry.js');
      await runRole(io.interrupted, () => startRegistry(config));
    });
}

async function registryConfig(settings: RegistrySettings): Promise<RegistryConfig> {
  const { id, prefix, store } = settings.values;
  return {
    ...listenConfig(settings),
    id,
    prefix,
    store: store === 'memory' ? { kind: 'memory' } : { kind: 'etcd', options: await etcdOptions(settings) },
  };
}

async function etcdOptions({ values }: RegistrySettings): Promise<EtcdOptions> {
  const { etcd, etcdUser, etcdPassword, etcdPasswordFile } = values;
  return {
    endpoints: etcd,
    username: etcdUser,
    password: etcdPasswordFile === undefined ? etcdPassword : await readSecret(etcdPasswordFile),
    tls: await etcdTls(values),
  };
}

async function etcdTls({ etcdCa, etcdCert, etcdKey }: RegistrySettings['values']): Promise<EtcdTls | undefined> {
  if (etcdCa === undefined) return undefined;
  return {
    ca: await readPem(etcdCa),
    cert: etcdCert === undefined ? undefined : await readPem(etcdCert),
    key: etcdKey === undefined ? undefined : await readPem(etcdKey),
  };
}
