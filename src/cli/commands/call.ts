import type { Command } from 'commander';
import type { CallOptions } from '../call-rpc.js';
import { addClusterOptions, examples } from '../cluster.js';
import type { CliIo } from '../io.js';
import { durationMs } from '../option-values.js';

export function callCommand(program: Command, io: CliIo): void {
  addClusterOptions(
    program.command('call').description('call any rpc with JSON; without a method, list the services and their methods'),
    'text',
  )
    .argument('[method]', 'such as Tasks/Run or troupe.v1.Tasks/Run; Tasks alone lists its methods')
    .option('--json <json>', 'the request in the JSON form of protobuf; "-" reads standard input', '{}')
    .option('--timeout <duration>', 'when to give up, at most 1h (default: 30s; a stream: never)', durationMs)
    .option('--descriptor-set <file>', 'types from a file that `buf build -o` wrote, for servers without reflection')
    .addHelpText(
      'after',
      examples(
        'troupe call',
        `troupe call Tasks/Run --json '{"task": {"required_capabilities": ["inference"], "payload": {"json": {"text": "I was charged twice"}}}}'`,
        'troupe call Registry/Watch --json \'{"service": "node"}\'',
        'troupe call --address 127.0.0.1:8765 Node/GetStatus',
      ),
    )
    .action(async (target: string | undefined, options: CallOptions, command: Command) => {
      // Loaded here: what reads descriptors is large, and every other command starts without it.
      const { callRpc } = await import('../call-rpc.js');
      await callRpc(io, command, target, options);
    });
}
