#!/usr/bin/env node
// Before anything that an older Node.js cannot read.
require('./check-node.cjs');

void import('../dist/src/app/main.js');
