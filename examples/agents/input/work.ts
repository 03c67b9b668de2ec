import { type AgentTask, type TaskContext, TroupeError } from 'troupe';

/**
 * Which of its capabilities an agent that has several is to use: the one in `asked` (the payload's "do"), otherwise the one
 * that the task requires.
 *
 * @throws TroupeError INVALID_ARGUMENT when that is none, several or contradictory, FAILED_PRECONDITION when not offered.
 */
export function chooseWork<Work extends string>(
  task: AgentTask,
  ctx: Pick<TaskContext, 'agentId' | 'capabilities'>,
  choices: readonly Work[],
  asked: Work | undefined,
): Work {
  const required = choices.filter((choice) => task.requiredCapabilities.includes(choice));
  const names = choices.map((choice) => `"${choice}"`).join(' or ');
  if (asked !== undefined && required.length > 0 && !required.includes(asked))
    throw unclear(`"do" is "${asked}", but the task requires "${required.join('", "')}"; ask for the same in both`);
  const work = asked ?? (required.length === 1 ? required[0] : undefined);
  if (work === undefined) throw unclear(`cannot tell what to do; require one of the capabilities ${names}, or name it in "do"`);
  if (!ctx.capabilities.includes(work))
    throw new TroupeError(
      'FAILED_PRECONDITION',
      'CAPABILITY_NOT_OFFERED',
      `agent "${ctx.agentId}" does not offer "${work}"; require that capability, so that the task goes to an agent that does`,
    );
  return work;
}

function unclear(description: string): TroupeError {
  const violations = [{ field: 'payload.do', description }];
  return new TroupeError('INVALID_ARGUMENT', 'WORK_UNCLEAR', `payload.do: ${description}`, { violations });
}
