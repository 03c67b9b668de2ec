#!/usr/bin/env node
import { Command } from 'commander';
import { gatewayCommand } from './commands/gateway.js';
import { nodeCommand } from './commands/node.js';
import { registryCommand } from './commands/registry.js';

const program = new Command('troupe');
for (const add of [registryCommand, nodeCommand, gatewayCommand]) add(program);
await program.parseAsync();
