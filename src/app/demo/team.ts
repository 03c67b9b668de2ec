import { fileURLToPath } from 'node:url';
import type { ManifestInput } from '../../agent/manifest.js';

/** The agents that `troupe demo` and `troupe dev` work with unless told otherwise. */
export const TEAM_MODULE = fileURLToPath(new URL('../../../examples/agents/index.js', import.meta.url));

/** Where the files of the demonstration are found. */
export const PACKAGE_ROOT = fileURLToPath(new URL('../../../../', import.meta.url));

export const TEAM: readonly ManifestInput[] = [
  { id: 'data-1', kind: 'data', capabilities: ['data_processing', 'analysis'] },
  { id: 'code-1', kind: 'code', capabilities: ['code_generation', 'review'] },
  { id: 'test-1', kind: 'test', capabilities: ['testing', 'quality_assurance'] },
  { id: 'data-2', kind: 'data', capabilities: ['data_processing', 'visualization'] },
  { id: 'ai-1', kind: 'ai', capabilities: ['inference', 'model_training'] },
];
