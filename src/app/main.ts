#!/usr/bin/env node
import { processIo } from '../cli/process-io.js';
import { runCli } from '../cli/program.js';
import { demoCommand } from './commands/demo.js';
import { devCommand } from './commands/dev.js';
import { gatewayCommand } from './commands/gateway.js';
import { nodeCommand } from './commands/node.js';
import { registryCommand } from './commands/registry.js';
import { VERSION } from './version.js';

const controller = new AbortController();
process.once('SIGINT', () => controller.abort());

const io = processIo({ signal: controller.signal, version: VERSION });
process.exitCode = await runCli(process.argv.slice(2), io, [
  devCommand,
  registryCommand,
  nodeCommand,
  gatewayCommand,
  demoCommand,
]);
