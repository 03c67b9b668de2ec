import { expect, test } from '@jest/globals';
import { parseConfigFile } from '../../../../src/app/settings/config-file.js';
import { passedOn } from '../../../../src/app/settings/pass-on.js';
import { resolveSettings } from '../../../../src/app/settings/resolve.js';

const KEYS = ['config', 'metrics', 'otlpEndpoint', 'traceRatio'] as const;
const FILE = parseConfigFile('t.yaml', 'traceRatio: 0.5\notlpEndpoint: http://a:1\ndev: {traceRatio: 1, metrics: false}');

test('troupe dev passes on what it was told by flags', () => {
  const flags = { config: ['t.yaml'], metrics: true, otlpEndpoint: ['http://b:2'], traceRatio: ['0.1'], port: ['1'] } as const;
  expect(passedOn(resolveSettings('dev', { flags, env: {} }), KEYS)).toEqual([
    '--config',
    't.yaml',
    '--no-metrics',
    '--otlp-endpoint',
    'http://b:2',
    '--trace-ratio',
    '0.1',
  ]);
});

test('troupe dev passes on what its own section says, and leaves the rest of the file and the environment to its processes', () => {
  const env = { TROUPE_OTLP_ENDPOINT: 'http://c:3', TROUPE_CONFIG: 't.yaml' };
  expect(passedOn(resolveSettings('dev', { flags: {}, env, file: FILE }), KEYS)).toEqual(['--no-metrics', '--trace-ratio', '1']);
});
