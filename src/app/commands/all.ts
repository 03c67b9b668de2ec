import type { RoleCommand } from '../../cli/program.js';
import { configCommand } from './config.js';
import { demoCommand } from './demo.js';
import { devCommand } from './dev.js';
import { gatewayCommand } from './gateway.js';
import { nodeCommand } from './node.js';
import { registryCommand } from './registry.js';

/** The commands that run something here, in the order of the help. */
export const APP_COMMANDS: readonly RoleCommand[] = [
  devCommand,
  registryCommand,
  nodeCommand,
  gatewayCommand,
  demoCommand,
  configCommand,
];
