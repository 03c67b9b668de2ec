import { expect, test } from '@jest/globals';
import { nearest } from '../../../../src/app/settings/nearest.js';

const NAMES = ['zone', 'leaseTtl', 'logLevel', 'opsPort', 'port'];

test.each([
  ['zon', 'zone'],
  ['loglevel', 'logLevel'],
  ['leasettl', 'leaseTtl'],
  ['prot', 'port'],
  ['opsport', 'opsPort'],
  ['lease', undefined],
  ['colour', undefined],
  ['', undefined],
])('%s was meant to be %s', (word, meant) => {
  expect(nearest(word, NAMES)).toBe(meant);
});
