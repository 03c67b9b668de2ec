import { randomBytes } from 'node:crypto';
import type { Clock } from '../core/clock.js';
import type { Random } from '../core/random.js';
import type { RoutedRunResponse, RoutedRunStreamResponse } from '../gen/troupe/internal/v1/routed.js';
import { MessagingDefinition } from '../gen/troupe/v1/messaging.js';
import type { AgentPort } from '../messaging/agent-port.js';
import { type ConnectDeps, connectStreams } from '../messaging/connect-streams.js';
import type { Messages } from '../messaging/messages.js';
import type { TaskRunner } from '../messaging/program-port.js';
import { Sessions } from '../messaging/sessions.js';
import type { RpcServer } from '../rpc/server.js';
import type { Handlers } from '../rpc/service.js';
import type { RoutedTasksDefinition } from '../tasks/tasks-service.js';
import type { Logger } from '../telemetry/logger.js';

interface Parts {
  readonly server: RpcServer;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface ProgramParts {
  readonly nodeId: string;
  readonly tasks: Handlers<typeof RoutedTasksDefinition>;
  readonly messages: Messages;
  /** Where programs become agents; undefined at a gateway. */
  readonly agents: AgentPort | undefined;
  readonly passOn?: ConnectDeps['passOn'];
}

const SECRET_BYTES = 16;

/** Serves Messaging.Connect. */
export function mountPrograms(
  { server, clock, random, logger }: Parts,
  { nodeId, tasks, messages, agents, passOn }: ProgramParts,
): Sessions {
  const secret = () => randomBytes(SECRET_BYTES);
  const sessions = new Sessions({
    nodeId,
    tasks: runnerOf(tasks),
    messages,
    agents,
    clock,
    random,
    now: () => clock.now(),
    secret,
  });
  const deps = { sessions, clock, logger };
  server.mountStreams(MessagingDefinition.fullName, { ...connectStreams(passOn === undefined ? deps : { ...deps, passOn }) });
  return sessions;
}

/** The Tasks service as sessions need it. */
function runnerOf(tasks: Handlers<typeof RoutedTasksDefinition>): TaskRunner {
  return {
    run: async (task, call) => ((await tasks.run({ task }, call)) as RoutedRunResponse).result,
    async *stream(task, call) {
      const events = tasks.runStream({ task, resumeWindow: undefined, resume: undefined }, call);
      for await (const { event } of events as AsyncIterable<RoutedRunStreamResponse>) if (event !== undefined) yield event;
    },
  };
}
