import { TroupeError } from '../core/errors.js';
import { MAX_HELD_BYTES, MAX_KEPT_BYTES } from '../link/outbox.js';

export function noHello(): TroupeError {
  return new TroupeError('FAILED_PRECONDITION', 'NO_HELLO', 'the first frame must be hello');
}

export function lateHello(ms: number): TroupeError {
  return new TroupeError('DEADLINE_EXCEEDED', 'NO_HELLO', `no hello came within ${ms} ms`);
}

export function secondHello(): TroupeError {
  return new TroupeError('FAILED_PRECONDITION', 'HELLO_TWICE', 'hello comes first, and once');
}

export function noAgentsHere(): TroupeError {
  return new TroupeError('FAILED_PRECONDITION', 'NO_AGENTS', 'this process hosts no agents; attach to a node');
}

export function unknownSession(): TroupeError {
  return new TroupeError(
    'NOT_FOUND',
    'UNKNOWN_SESSION',
    'no session has this resume token: it has ended, or its grace time has passed; say hello without the token',
  );
}

export function takenOver(): TroupeError {
  return new TroupeError('ABORTED', 'SESSION_TAKEN_OVER', 'another stream goes on with this session');
}

export function silent(): TroupeError {
  return new TroupeError(
    'UNAVAILABLE',
    'SESSION_SILENT',
    'nothing came for too long, not even an answer to a ping; connect again',
  );
}

export function slowConsumer(): TroupeError {
  return new TroupeError(
    'RESOURCE_EXHAUSTED',
    'SLOW_CONSUMER',
    `more than ${MAX_HELD_BYTES} bytes wait for this program: it must read, give credit, and say what it has received`,
  );
}

export function unacknowledged(): TroupeError {
  return new TroupeError(
    'RESOURCE_EXHAUSTED',
    'NOT_ACKNOWLEDGED',
    `${MAX_KEPT_BYTES} bytes were sent, and for 30 s the program has not said that it has them: give credit with \`received\` when 1 MiB has come`,
  );
}

export function forgedSender(from: string, id: string): TroupeError {
  return new TroupeError(
    'INVALID_ARGUMENT',
    'FORGED_SENDER',
    `from: this program is "${id}", not "${from.slice(0, 64)}"; leave it empty`,
    { violations: [{ field: 'from', description: `must be empty or "${id}"` }] },
  );
}

export function wrongCredit(what: string): TroupeError {
  return new TroupeError('INVALID_ARGUMENT', 'WRONG_CREDIT', `credit: ${what}`);
}

export function undeployed(id: string): TroupeError {
  return new TroupeError(
    'ABORTED',
    'AGENT_UNDEPLOYED',
    `agent "${id}" was stopped by its node; it was undeployed, or its id was taken`,
  );
}

export function gone(id: string): TroupeError {
  return new TroupeError('NOT_FOUND', 'UNKNOWN_SUBSCRIBER', `"${id}" has gone`);
}

export function full(id: string): TroupeError {
  return new TroupeError('RESOURCE_EXHAUSTED', 'MAILBOX_FULL', `"${id}" does not read what is broadcast to it fast enough`, {
    metadata: { started: 'false' },
    retryAfterMs: 1_000,
  });
}

export function tooManySessions(most: number): TroupeError {
  return new TroupeError('RESOURCE_EXHAUSTED', 'TOO_MANY_SESSIONS', `${most} programs are attached here; go to another node`, {
    metadata: { started: 'false' },
    retryAfterMs: 1_000,
  });
}

export function draining(): TroupeError {
  return new TroupeError('FAILED_PRECONDITION', 'NODE_DRAINING', 'this process drains and takes no programs; go to another', {
    retryAfterMs: 1_000,
  });
}

/** For what a program asks for although it knows that it should go. */
export function goElsewhere(): TroupeError {
  return new TroupeError('UNAVAILABLE', 'NODE_DRAINING', 'this process drains and begins nothing new; ask over another', {
    metadata: { started: 'false' },
    retryAfterMs: 100,
  });
}

export function ending(): TroupeError {
  return new TroupeError('UNAVAILABLE', 'NODE_ENDED', 'this process ends; connect to another');
}
