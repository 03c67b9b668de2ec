import { describe, expect, it, test } from '@jest/globals';
import { SETTING_OF } from '../../../../src/app/settings/catalogue.js';
import { environmentWarnings } from '../../../../src/app/settings/environment.js';
import { resolveSettings } from '../../../../src/app/settings/resolve.js';

describe('a variable', () => {
  test.each([
    ['TROUPE_LOGLEVEL', 'TROUPE_LOG_LEVEL'],
    ['TROUPE_ADVERTIZE', 'TROUPE_ADVERTISE'],
    ['TROUPE_METRICS', 'TROUPE_NO_METRICS'],
    ['TROUPE_PREFER_ZONE', 'TROUPE_NO_PREFER_ZONE'],
    ['TROUPE_OTEL_ENDPOINT', 'TROUPE_OTLP_ENDPOINT'],
    ['TROUPE_ETCD_ENDPOINT', 'TROUPE_ETCD_ENDPOINTS'],
    ['TROUPE_ADRESS', 'TROUPE_ADDRESS'],
  ])('%s was meant to be %s', (name, meant) => {
    expect(environmentWarnings({ [name]: 'x' })).toEqual([`${name} is not known; did you mean ${meant}?`]);
  });

  it('that is known is none to warn of', () => {
    const names = [...[...SETTING_OF.values()].flatMap(({ env }) => env), 'TROUPE_ADDRESS', 'TROUPE_DEBUG'];
    expect(environmentWarnings(Object.fromEntries(names.map((name) => [name, 'x'])))).toEqual([]);
  });

  test.each([
    'TROUPE_ETCD',
    'TROUPE_GRPCURL',
    'TROUPE_PYTHON',
    'TROUPE_PYTHON_EXAMPLES',
    'TROUPE_TEST_SEED',
    'TROUPE_API_TOKEN',
    'PATH',
  ])('of somebody else is left alone: %s', (name) => {
    expect(environmentWarnings({ [name]: 'x' })).toEqual([]);
  });
});

describe('what Kubernetes tells of Services', () => {
  const links = (service: string, port: number) => {
    const name = service.toUpperCase().replaceAll('-', '_');
    return {
      [`${name}_SERVICE_HOST`]: '10.0.0.1',
      [`${name}_SERVICE_PORT`]: String(port),
      [`${name}_SERVICE_PORT_GRPC`]: String(port),
      [`${name}_PORT`]: `tcp://10.0.0.1:${port}`,
      [`${name}_PORT_${port}_TCP`]: `tcp://10.0.0.1:${port}`,
      [`${name}_PORT_${port}_TCP_PROTO`]: 'tcp',
      [`${name}_PORT_${port}_TCP_PORT`]: String(port),
      [`${name}_PORT_${port}_TCP_ADDR`]: '10.0.0.1',
    };
  };

  test.each(['troupe-gateway', 'troupe-registry', 'troupe-node', 'troupe-etcd', 'troupe-por', 'troupe-host'])(
    'is no setting: %s',
    (service) => {
      const env = links(service, 8080);
      const { settings, problems, warnings } = resolveSettings('node', { flags: {}, env });
      expect({ problems, warnings }).toEqual({ problems: [], warnings: [] });
      expect(settings.filter(({ source }) => source.kind !== 'default')).toEqual([]);
    },
  );

  test.each([
    ['troupe', 'TROUPE_PORT', 'port', 8765],
    ['troupe-ops', 'TROUPE_OPS_PORT', 'opsPort', 9464],
  ] as const)('is ignored with a warning where it has the name of a setting: %s', (service, name, key, value) => {
    const resolution = resolveSettings('node', { flags: {}, env: links(service, 8080) });
    expect(resolution.problems).toEqual([]);
    expect(resolution.settings.find((each) => each.key === key)).toMatchObject({ value, source: { kind: 'default' } });
    expect(resolution.warnings).toEqual([
      `${name} is "tcp://10.0.0.1:8080", as Kubernetes tells of a Service named ${service}; it is ignored (\`enableServiceLinks: false\` in the pod keeps it away)`,
    ]);
  });
});
