import { afterAll, afterEach, beforeEach } from '@jest/globals';

type Work = () => unknown;

const forTest: Work[] = [];
const forFile: Work[] = [];
let inTest = false;

/** Does `work` when the test that runs now ends, or, from a beforeAll, when the file ends: the last first. */
export function cleanUp(work: Work): void {
  (inTest ? forTest : forFile).push(work);
}

async function doAll(works: Work[]): Promise<void> {
  for (const work of works.splice(0).reverse()) await work();
}

beforeEach(() => {
  inTest = true;
});
afterEach(async () => {
  inTest = false;
  await doAll(forTest);
});
afterAll(() => doAll(forFile));
