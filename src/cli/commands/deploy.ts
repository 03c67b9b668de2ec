import type { Command } from 'commander';
import type { ManifestInput } from '../../agent/manifest.js';
import { MAX_CONCURRENCY, MAX_MAILBOX_CAPACITY, MAX_WEIGHT } from '../../agent/manifest.js';
import type { JsonObject } from '../../core/json.js';
import { randomName, systemRandom } from '../../core/random.js';
import { type AgentStatus, agentStateToJSON } from '../../gen/troupe/v1/agent.js';
import { addClusterOptions, type ClusterOptions, examples, withClient } from '../cluster.js';
import { defined } from '../defined.js';
import type { CliIo } from '../io.js';
import { count, id, jsonObject, moreIds } from '../option-values.js';
import { jsonLine, printable } from '../printable.js';

interface DeployOptions extends ClusterOptions {
  readonly id?: string;
  readonly node?: string;
  readonly capability?: readonly string[];
  readonly config?: JsonObject;
  readonly concurrency?: number;
  readonly mailbox?: number;
  readonly weight?: number;
  readonly adaptive?: true;
}

/** So that a kind and what is added to it make an id. */
const MAX_KIND_IN_ID = 57;

export function deployCommand(program: Command, io: CliIo): void {
  addClusterOptions(program.command('deploy').description('activate an agent; answers when it is running'), 'text')
    .argument('<kind>', 'which of the agent kinds that the nodes have (`troupe nodes` lists them)', id)
    .option('--id <id>', 'its id, unique in the cluster (default: the kind and five characters)', id)
    .option('--node <id>', 'the node that shall host it (default: the least loaded one that has the kind)', id)
    .option('--capability <name>', 'what it offers, again for more (default: what its kind declares)', moreIds)
    .option('--config <json>', 'options that its kind reads, a JSON object', jsonObject)
    .option('--concurrency <n>', 'tasks that it works on at once (default: what its kind declares)', count(MAX_CONCURRENCY))
    .option('--mailbox <n>', 'tasks that may wait for it (default: what its kind declares)', count(MAX_MAILBOX_CAPACITY))
    .option('--weight <n>', 'its share under weighted strategies (default: 1)', count(MAX_WEIGHT))
    .option(
      '--adaptive',
      'let it work on fewer tasks at once while more only make each of them slower (default: what its kind declares)',
    )
    .addHelpText(
      'after',
      examples(
        'troupe deploy data',
        'troupe deploy data --id data-3 --node node-2 --concurrency 4 --weight 2',
        'troupe deploy ai --capability inference --mailbox 1000 --adaptive',
      ),
    )
    .action(async (kind: string, options: DeployOptions, command: Command) => {
      const manifest: ManifestInput = {
        ...defined({
          capabilities: options.capability,
          config: options.config,
          concurrency: options.concurrency,
          mailboxCapacity: options.mailbox,
          weight: options.weight,
          adaptiveConcurrency: options.adaptive,
        }),
        id: options.id ?? `${kind.slice(0, MAX_KIND_IN_ID)}-${randomName(systemRandom, 5)}`,
        kind,
      };
      const agent = await withClient(io, command, (client) => client.deploy(manifest, options.node));
      if (options.output === 'json') io.stdout(jsonLine(toJson(agent)));
      else io.stdout(`${printable(sentence(agent))}\n`);
    });
}

function sentence({ manifest, nodeId }: AgentStatus): string {
  return `${manifest?.id} runs on ${nodeId} and offers ${manifest?.capabilities.join(', ')}`;
}

function toJson({ manifest, state, nodeId }: AgentStatus) {
  return {
    id: manifest?.id,
    kind: manifest?.kind,
    nodeId,
    state: agentStateToJSON(state).replace('AGENT_STATE_', ''),
    capabilities: manifest?.capabilities,
    config: manifest?.config ?? {},
    concurrency: manifest?.concurrency,
    mailboxCapacity: manifest?.mailboxCapacity,
    weight: manifest?.weight,
    adaptiveConcurrency: manifest?.adaptiveConcurrency,
  };
}
