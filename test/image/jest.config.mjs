import base from '../../jest.config.mjs';

/** The tests of the image, which need root: `make image-test`. */
export default {
  ...base,
  rootDir: '../..',
  roots: ['<rootDir>/test/image'],
  testPathIgnorePatterns: [],
  testTimeout: 120_000,
  maxWorkers: 1,
};
