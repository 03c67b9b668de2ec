import { execFileSync, spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { DEFAULTS, SHUTDOWN_MS } from '../../../src/app/config.js';
import { settingsOf } from '../../../src/app/settings/catalogue.js';
import { resolveSettings } from '../../../src/app/settings/resolve.js';
import { flagName, type Role, SERVERS } from '../../../src/app/settings/setting.js';
import { composeFile, isRole, type Service } from '../../support/compose-file.js';
import { ROOT } from '../../support/processes.js';

const { services, networks, volumes } = composeFile();
const all = Object.entries(services);
const roles = all.filter(([, service]) => isRole(service));

/** The role that a service is. @throws when there is no such role. */
function roleOf({ command }: Service): Role {
  const role = SERVERS.find((each) => each === command?.[0]);
  if (role === undefined) throw new Error(`there is no role "${command?.[0]}"`);
  return role;
}

const readYaml = (path: string) => parse(readFileSync(join(ROOT, path), 'utf8'));
const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string };

describe('docker-compose.yml', () => {
  test('has etcd, two registries, two nodes and a gateway, and an optional profile that looks at them', () => {
    expect(roles.map(([name, { command }]) => [name, command?.[0]])).toEqual([
      ['registry-1', 'registry'],
      ['registry-2', 'registry'],
      ['node-1', 'node'],
      ['node-2', 'node'],
      ['gateway', 'gateway'],
    ]);
    const optional = all.filter(([, { profiles }]) => profiles?.includes('observability')).map(([name]) => name);
    expect(optional).toEqual(['prometheus', 'grafana', 'otel-collector']);
    expect(all.length).toBe(roles.length + optional.length + 1);
  });

  test.each(roles)('%s: every variable is one that its role reads, with a value that it takes', (_, service) => {
    const role = roleOf(service);
    const known = settingsOf(role).flatMap(([, { env }]) => env);
    const given = Object.entries(service.environment ?? {});
    for (const [name] of given) expect(known).toContain(name);
    const env = Object.fromEntries(given.filter((entry): entry is [string, string] => entry[1] !== null));
    expect(resolveSettings(role, { flags: {}, env })).toMatchObject({ problems: [], warnings: [] });
  });

  test.each(roles)('%s: every argument is a flag of its role', (_, service) => {
    const flags = settingsOf(roleOf(service)).map(([, setting]) => flagName(setting));
    for (const arg of service.command?.slice(1) ?? []) expect(flags).toContain(arg.split('=')[0]);
  });

  test.each(roles)('%s: is the image of this version, built here', (_, { image, build }) => {
    expect(image).toBe(`troupe/troupe:${manifest.version}`);
    expect(build).toEqual({ context: '.', args: { VERSION: manifest.version } });
  });

  test.each(roles)(
    '%s: can change nothing but its volume and /tmp',
    (_, { read_only, tmpfs, environment, volumes: mounts = [] }) => {
      expect(read_only).toBe(true);
      expect(tmpfs).toEqual(['/tmp']);
      expect(mounts.map((mount) => mount.split(':')[1])).toEqual(
        environment?.TROUPE_DATA_DIR ? [environment.TROUPE_DATA_DIR] : [],
      );
    },
  );

  test.each(roles)('%s: has longer to end than it takes', (_, { stop_grace_period, environment }) => {
    const drainMs = Number(environment?.TROUPE_DRAIN_GRACE ?? DEFAULTS.drainGraceMs / 1000) * 1000;
    expect(stop_grace_period).toMatch(/^\d+s$/);
    expect(Number.parseInt(stop_grace_period ?? '', 10) * 1000).toBeGreaterThan(Math.max(SHUTDOWN_MS, drainMs + 5_000));
  });

  test.each(roles)('%s: is asked whether it is ready', (_, { healthcheck }) => {
    expect(healthcheck?.test).toEqual(['CMD', 'node', '/opt/troupe/dist/src/app/probe.js', '/ready']);
    expect(existsSync(join(ROOT, 'src/app/probe.ts'))).toBe(true);
  });

  test.each(roles)('%s: is published at 127.0.0.1 and at the port that it listens on', (name, { ports = [], environment }) => {
    const port = environment?.TROUPE_PORT;
    const outside = name === 'registry-2' ? '8001' : port;
    expect(ports).toEqual([`127.0.0.1:${outside}:${port}`]);
  });

  test('publishes the ports that Troupe has by default, and none twice', () => {
    const published = all.flatMap(([, { ports = [] }]) => ports);
    for (const port of [DEFAULTS.registryPort, DEFAULTS.nodePort, DEFAULTS.nodePort + 1, DEFAULTS.gatewayPort])
      expect(published).toContain(`127.0.0.1:${port}:${port}`);
    expect(published.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
    const outside = published.map((port) => port.split(':')[1]);
    expect(new Set(outside).size).toBe(outside.length);
  });

  test('names only services that there are, at the ports that they listen on', () => {
    for (const [, { environment }] of roles) {
      for (const address of environment?.TROUPE_REGISTRY?.split(',') ?? []) {
        const [service = '', port] = address.split(':');
        expect(services[service]?.environment?.TROUPE_PORT).toBe(port);
      }
      if (environment?.TROUPE_ETCD_ENDPOINTS) expect(environment.TROUPE_ETCD_ENDPOINTS).toBe('http://etcd:2379');
    }
    expect(services.etcd?.command).toContain('--listen-client-urls=http://0.0.0.0:2379');
  });

  test.each(roles)('%s: has the name by which others find it', (name, { hostname, environment }) => {
    expect(hostname).toBe(name);
    expect(environment?.TROUPE_ID).toBe(name);
  });

  test.each(all)('%s: starts again, has no rights and no way to get any, and is on the one network', (_, service: Service) => {
    expect(service).toMatchObject({
      restart: 'unless-stopped',
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
      networks: ['troupe'],
    });
    expect(Object.keys(networks)).toEqual(['troupe']);
  });

  test.each(all)('%s: waits for what is healthy', (_, { depends_on = {} }) => {
    for (const [name, { condition }] of Object.entries(depends_on)) {
      expect(condition).toBe('service_healthy');
      expect(services[name]?.healthcheck).toBeDefined();
    }
  });

  test.each(all)('%s: is an image of one version', (_, { image }) => {
    expect(image).toMatch(/^[a-z0-9./-]+:v?\d+\.\d+\.\d+$/);
  });

  test('has an etcd whose leases and watches are right', () => {
    const [, minor = 0, patch = 0] = services.etcd?.image.match(/v3\.(\d+)\.(\d+)$/)?.map(Number) ?? [];
    expect(minor > 6 || (minor === 6 && patch >= 11) || (minor === 5 && patch >= 30)).toBe(true);
  });

  test('mounts what is there, and declares the volumes that it uses', () => {
    const sources = all.flatMap(([, { volumes: mounts = [] }]) => mounts.map((mount) => mount.split(':')[0] ?? ''));
    const files = sources.filter((source) => source.startsWith('.'));
    for (const file of files) expect([file, existsSync(join(ROOT, file))]).toEqual([file, true]);
    expect(sources.filter((source) => !source.startsWith('.')).sort()).toEqual(Object.keys(volumes).sort());
  });

  test('is taken by docker compose, where there is one', () => {
    if (spawnSync('docker', ['compose', 'version']).status !== 0) return;
    execFileSync('docker', ['compose', '--profile', 'observability', 'config', '--quiet'], { cwd: ROOT });
  });
});

describe('the profile observability', () => {
  test('scrapes the operations port of every role, and names only services that there are', () => {
    const { scrape_configs: jobs, rule_files: rules } = readYaml('k8s/observability/prometheus.yml') as {
      readonly scrape_configs: readonly {
        readonly job_name: string;
        readonly static_configs: readonly { readonly targets: readonly string[] }[];
      }[];
      readonly rule_files: readonly string[];
    };
    const targetsOf = (of: typeof jobs) => of.flatMap(({ static_configs }) => static_configs.flatMap((each) => each.targets));
    const targets = targetsOf(jobs);
    // What the alert rules and dashboards go by.
    const troupe = targetsOf(jobs.filter(({ job_name }) => job_name === 'troupe'));
    expect(troupe).toEqual(expect.arrayContaining(roles.map(([name]) => `${name}:${DEFAULTS.opsPort}`)));
    for (const target of targets) expect(Object.keys(services)).toContain(target.split(':')[0]);
    expect(services.prometheus?.volumes).toContain(`./k8s/alerts:${rules[0]?.replace('/*.rules.yaml', '')}:ro`);
  });

  test('has a collector that takes OTLP over gRPC, whose pipelines use what it has', () => {
    const collector = readYaml('k8s/observability/collector.yml');
    expect(collector.receivers.otlp.protocols).toEqual({ grpc: { endpoint: '0.0.0.0:4317' } });
    expect(Object.keys(collector.service.pipelines)).toEqual(['traces', 'metrics']);
    for (const pipeline of Object.values<Record<string, string[]>>(collector.service.pipelines)) {
      for (const kind of ['receivers', 'processors', 'exporters'])
        for (const name of pipeline[kind] ?? []) expect(Object.keys(collector[kind])).toContain(name);
    }
  });

  test('has a Grafana that finds Prometheus and the dashboards', () => {
    const folder = 'k8s/observability/grafana';
    expect(readYaml(`${folder}/datasources/prometheus.yaml`).datasources[0]).toMatchObject({
      type: 'prometheus',
      uid: 'prometheus',
      url: 'http://prometheus:9090',
    });
    const { path } = readYaml(`${folder}/dashboards/troupe.yaml`).providers[0].options;
    expect(services.grafana?.volumes).toEqual([`./${folder}:/etc/grafana/provisioning:ro`, `./k8s/dashboards:${path}:ro`]);
  });
});

describe('the Dockerfile', () => {
  const text = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');

  test('exposes the default ports', () => {
    const { registryPort, nodePort, gatewayPort, opsPort } = DEFAULTS;
    expect(text).toMatch(new RegExp(`^EXPOSE ${registryPort} ${nodePort} ${gatewayPort} ${opsPort}$`, 'm'));
  });

  test('sets variables that every role reads', () => {
    const names = [...text.matchAll(/\b(TROUPE_[A-Z_]+)=/g)].map(([, name]) => name);
    expect(names).toEqual(['TROUPE_HOST', 'TROUPE_OPS_PORT']);
    for (const role of SERVERS) {
      const known = settingsOf(role).flatMap(([, { env }]) => env);
      expect(known).toEqual(expect.arrayContaining(names));
    }
  });

  test('copies only what .dockerignore lets through', () => {
    const allowed = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
      .split('\n')
      .flatMap((line) => (line.startsWith('!') ? [line.slice(1)] : []));
    const copied = [...text.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, sources = '']) => sources.split(' '));
    expect([...new Set(copied)].sort()).toEqual([...allowed].sort());
  });
});
