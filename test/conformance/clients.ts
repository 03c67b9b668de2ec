import { join } from 'node:path';
import { startProcess } from '../support/processes.js';
import { CONFORMANCE, goProgram, python } from './toolchains.js';

export interface CaseOutcome {
  readonly ok: boolean;
  /** Why it failed. */
  readonly detail: string;
}

export interface Order {
  readonly gateway: string;
  readonly node: string;
  readonly cases: readonly string[];
}

export interface ConformanceClient {
  readonly language: string;
  /** What each case came to, in the order in which they were done. */
  run(order: Order): Promise<ReadonlyMap<string, CaseOutcome>>;
}

const CASE_MS = 60_000;

/** Those of this repository, or the one that TROUPE_CONFORMANCE_CLIENT names: a command that takes the same arguments. */
export function clients(): ConformanceClient[] {
  const [command, ...args] = (process.env.TROUPE_CONFORMANCE_CLIENT ?? '').split(' ').filter((word) => word !== '');
  if (command !== undefined) return [clientOf('another language', command, args)];
  const script = join(CONFORMANCE, 'python', 'conformance.py');
  return [clientOf('Python', python().interpreter, [script], python().env), clientOf('Go', goProgram('conformance'), [])];
}

function clientOf(
  language: string,
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): ConformanceClient {
  return {
    language,
    run: async ({ gateway, node, cases }) => {
      const program = startProcess(command, [...args, '--gateway', gateway, '--node', node, ...cases], { env });
      const outcomes = new Map<string, CaseOutcome>();
      try {
        for (const name of cases) {
          const { ok, detail } = await program.event((event) => event.case === name, CASE_MS);
          outcomes.set(name, { ok: ok === true, detail: String(detail) });
        }
        await program.exit;
      } catch (error) {
        // What was told until then counts; of the other cases each test says that nothing is known.
        const next = cases.find((name) => !outcomes.has(name)) ?? '';
        outcomes.set(next, { ok: false, detail: error instanceof Error ? error.message : String(error) });
      }
      return outcomes;
    },
  };
}
