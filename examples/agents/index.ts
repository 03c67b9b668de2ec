/** The agents of the demonstration. */
import ai from './ai.js';
import code from './code.js';
import data from './data.js';
import test from './test.js';

export { ai, code, data, test };
export default [data, code, test, ai];
