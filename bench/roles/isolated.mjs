import { serveParent } from '../lib/child.mjs';

let measure;
serveParent({
  start: async ({ module, name }) => {
    ({ [name]: measure } = await import(module));
  },
  run: (params) => measure(params),
});
