import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { messageOf } from '../../core/errors.js';
import type { EtcdOptions } from '../../store/etcd-connection.js';
import type { LogLevel } from '../../telemetry/logger.js';
import { DEFAULTS, hostId, type RegistryConfig } from '../config.js';
import { runRole, wrongUsage } from '../run-role.js';
import {
  hostOption,
  idOption,
  logLevelOption,
  portOption,
  type TelemetryFlags,
  telemetryConfig,
  telemetryOptions,
} from './options.js';

interface RegistryFlags extends TelemetryFlags {
  readonly id?: string;
  readonly host: string;
  readonly port: number;
  readonly logLevel: LogLevel;
  readonly store: 'memory' | 'etcd';
  readonly etcd?: string;
  readonly etcdUser?: string;
  readonly etcdPassword?: string;
  readonly etcdCa?: string;
  readonly etcdCert?: string;
  readonly etcdKey?: string;
  readonly prefix: string;
}

export function registryCommand(program: Command): void {
  const command = program
    .command('registry')
    .description('runs a registry: who is in the cluster, from etcd or from memory')
    .addOption(portOption(DEFAULTS.registryPort))
    .addOption(hostOption())
    .addOption(idOption('registry'))
    .addOption(
      new Option('--store <kind>', 'where the truth lives; memory ends with the process')
        .env('TROUPE_STORE')
        .choices(['memory', 'etcd'])
        .default('memory'),
    )
    .addOption(
      new Option('--etcd <host:port,...>', `etcd endpoints, also as http:// or https:// (default: ${DEFAULTS.etcd})`).env(
        'TROUPE_ETCD_ENDPOINTS',
      ),
    )
    .addOption(new Option('--etcd-user <name>', 'etcd user').env('TROUPE_ETCD_USER'))
    .addOption(new Option('--etcd-password <password>', 'its password; better by the environment').env('TROUPE_ETCD_PASSWORD'))
    .addOption(new Option('--etcd-ca <file>', 'certificate authority of etcd, PEM').env('TROUPE_ETCD_CA'))
    .addOption(new Option('--etcd-cert <file>', 'certificate to show to etcd, PEM').env('TROUPE_ETCD_CERT'))
    .addOption(new Option('--etcd-key <file>', 'its key, PEM').env('TROUPE_ETCD_KEY'))
    .addOption(new Option('--prefix <path>', 'prefix of all keys in the store').env('TROUPE_PREFIX').default(DEFAULTS.prefix))
    .addOption(logLevelOption())
    .addHelpText(
      'after',
      '\nExamples:\n  troupe registry\n  troupe registry --store etcd --etcd 127.0.0.1:2379\n  troupe registry --store etcd --etcd https://etcd-0:2379,https://etcd-1:2379 --etcd-ca ca.pem',
    )
    .action(async (flags: RegistryFlags) => {
      const config = await registryConfig(flags);
      const { startRegistry } = await import('../roles/registry.js');
      await runRole(() => startRegistry(config));
    });
  for (const option of telemetryOptions()) command.addOption(option);
}

async function registryConfig(flags: RegistryFlags): Promise<RegistryConfig> {
  const { id = hostId('registry'), host, port, logLevel, prefix } = flags;
  return {
    id,
    host,
    port,
    logLevel,
    prefix,
    ...telemetryConfig(flags),
    store: flags.store === 'memory' ? memory(flags) : { kind: 'etcd', options: await etcdOptions(flags) },
  };
}

function memory({ etcd }: RegistryFlags): { readonly kind: 'memory' } {
  if (etcd !== undefined) throw wrongUsage('--etcd is given, but --store is memory; add --store etcd');
  return { kind: 'memory' };
}

async function etcdOptions(flags: RegistryFlags): Promise<EtcdOptions> {
  const { etcdUser, etcdPassword, etcdCa, etcdCert, etcdKey } = flags;
  if ((etcdUser === undefined) !== (etcdPassword === undefined))
    throw wrongUsage('--etcd-user and --etcd-password must be given together');
  if ((etcdCert === undefined) !== (etcdKey === undefined)) throw wrongUsage('--etcd-cert and --etcd-key must be given together');
  if (etcdCert !== undefined && etcdCa === undefined) throw wrongUsage('--etcd-cert needs --etcd-ca');
  return {
    endpoints: (flags.etcd ?? DEFAULTS.etcd).split(',').map((endpoint) => endpoint.trim()),
    username: etcdUser,
    password: etcdPassword,
    tls:
      etcdCa === undefined
        ? undefined
        : {
            ca: await pem('--etcd-ca', etcdCa),
            cert: await optionalPem('--etcd-cert', etcdCert),
            key: await optionalPem('--etcd-key', etcdKey),
          },
  };
}

async function optionalPem(option: string, path: string | undefined): Promise<Buffer | undefined> {
  return path === undefined ? undefined : pem(option, path);
}

async function pem(option: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw wrongUsage(`${option} ${path}: ${messageOf(error)}`);
  }
}
