import { expect, test } from '@jest/globals';
import { isHostPort, isUnspecified } from '../../../src/core/address.js';

test.each(['a:1', 'a.b-c:65535', '127.0.0.1:8000', '[::1]:8000', '0.0.0.0:8000'])('%s is an address to connect to', (text) => {
  expect(isHostPort(text)).toBe(true);
});

test.each(['', 'a', 'a:', ':1', 'a:0', 'a:65536', 'a:-1', 'a:1 ', 'a b:1', '::1:8000', 'http://a:1', 'user@a:1', 'a:1/x'])(
  '%j is none',
  (text) => {
    expect(isHostPort(text)).toBe(false);
  },
);

test.each(['0.0.0.0', '0', '000.0.0.0', '::', '[::]', '0:0:0:0:0:0:0:0', '::0', '::ffff:0.0.0.0'])(
  '%s stands for all addresses',
  (host) => {
    expect(isUnspecified(host)).toBe(true);
  },
);

test.each(['127.0.0.1', '::1', '[::1]', 'fe80::1%eth0', 'localhost', 'node-0.nodes', '10.0.0.0', ''])('%j does not', (host) => {
  expect(isUnspecified(host)).toBe(false);
});
