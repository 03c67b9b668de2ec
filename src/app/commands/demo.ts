import type { Command } from 'commander';
import type { CliIo } from '../../cli/io.js';
import { stopAsked } from '../interruption.js';

export function demoCommand(program: Command, io: CliIo): void {
  program
    .command('demo')
    .description('shows the whole story in one run: a cluster, agents, tasks, a crash; then ends')
    .addHelpText('after', '\nExamples:\n  troupe demo\n  troupe demo | cat        plain lines')
    .action(async () => {
      const controller = new AbortController();
      void stopAsked(io.interrupted).then(() => controller.abort());
      const { stdout } = process;
      const live = stdout.isTTY === true && !process.env.NO_COLOR && process.env.TERM !== 'dumb';
      const { runDemo } = await import('../demo/demo.js');
      await runDemo({ output: { stream: stdout, live }, signal: controller.signal });
    });
}
