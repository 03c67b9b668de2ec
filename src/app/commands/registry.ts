import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { examples } from '../../cli/cluster.js';
import type { CliIo } from '../../cli/io.js';
import { messageOf } from '../../core/errors.js';
import type { EtcdOptions, EtcdTls } from '../../store/etcd-connection.js';
import type { RegistryConfig } from '../config.js';
import { runRole, wrongUsage } from '../run-role.js';
import { addSettings } from '../settings/options.js';
import { readSettings, type Settings } from '../settings/read-settings.js';
import { sourceName } from '../settings/resolution.js';
import { settingOf } from '../settings/resolve.js';
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

async function etcdOptions(settings: RegistrySettings): Promise<EtcdOptions> {
  const { etcd, etcdUser, etcdPassword } = settings.values;
  return {
    endpoints: etcd,
    username: etcdUser,
    password: etcdPassword ?? (await secretIn(settings, 'etcdPasswordFile')),
    tls: await etcdTls(settings),
  };
}

async function etcdTls(settings: RegistrySettings): Promise<EtcdTls | undefined> {
  const ca = await bytesIn(settings, 'etcdCa');
  if (ca === undefined) return undefined;
  return { ca, cert: await bytesIn(settings, 'etcdCert'), key: await bytesIn(settings, 'etcdKey') };
}

type FileKey = 'etcdPasswordFile' | 'etcdCa' | 'etcdCert' | 'etcdKey';

/** The line that a file holds, without its end. */
async function secretIn(settings: RegistrySettings, key: FileKey): Promise<string | undefined> {
  const secret = (await bytesIn(settings, key))?.toString('utf8').replace(/\r?\n$/, '');
  if (secret === '') throw wrongUsage(`${fileName(settings, key)}: it is empty`);
  return secret;
}

async function bytesIn(settings: RegistrySettings, key: FileKey): Promise<Buffer | undefined> {
  const path = settings.values[key];
  if (path === undefined) return undefined;
  try {
    return await readFile(path);
  } catch (error) {
    throw wrongUsage(`${fileName(settings, key)}: ${messageOf(error)}`);
  }
}

/** `--etcd-ca ca.pem`, by whatever said so. */
function fileName({ values, resolution }: RegistrySettings, key: FileKey): string {
  return `${sourceName(settingOf(resolution, key).source)} ${values[key]}`;
}
