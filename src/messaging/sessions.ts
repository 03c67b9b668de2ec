import { timingSafeEqual } from 'node:crypto';
import { newId } from '../core/ids.js';
import type { Random } from '../core/random.js';
import type { Hello } from '../gen/troupe/v1/messaging.js';
import { MAX_CREDIT } from '../link/outbox.js';
import type { ListenedStream } from '../rpc/byte-stream.js';
import { Session, type SessionDeps } from './session.js';
import * as refusals from './session-errors.js';
import { DEFAULT_CREDIT, readHello } from './session-hello.js';

export interface SessionsDeps extends Omit<SessionDeps, 'isDraining'> {
  readonly random: Random;
  /** 128 bits that nobody can guess. */
  readonly secret: () => Buffer;
}

/** Programs that may be attached to a process, or waited for. */
const MAX_SESSIONS = 20_000;
/** How often silent programs are looked for. */
const PROBE_EVERY_MS = 5_000;
/** How often a process that ends looks whether programs still wait for something. */
const QUIET_EVERY_MS = 50;
const ASK_AFTER_MS = 15_000;
const END_AFTER_MS = 30_000;
/** A timer that fires this much too late tells of this process, which was blocked, and not of the programs. */
const LATE_MS = 1_000;

/** The attached programs of a process. */
export class Sessions {
  private readonly sessions = new Set<Session>();
  /** Those that can come back, by the part of their token that is no secret. */
  private readonly byName = new Map<string, Session>();
  /** Those that are agents, by id, until that is free again. */
  private readonly byAgent = new Map<string, Session>();
  private names = 0;
  private isDraining = false;
  private disarm: (() => void) | undefined;

  constructor(private readonly deps: SessionsDeps) {}

  /** Programs that are attached, or waited for. */
  get size(): number {
    return this.sessions.size;
  }

  /** How many of them are agents, and clients. */
  counts(): { readonly agents: number; readonly clients: number } {
    let agents = 0;
    for (const { isAgent } of this.sessions) if (isAgent) agents += 1;
    return { agents, clients: this.sessions.size - agents };
  }

  /** Attaches the program that said hello. @throws what keeps it out. */
  async open(hello: Hello, stream: ListenedStream): Promise<void> {
    if (hello.resumeToken !== '') return this.resume(hello, stream);
    if (this.isDraining) throw refusals.draining();
    if (this.sessions.size >= MAX_SESSIONS) throw refusals.tooManySessions(MAX_SESSIONS);
    const order = readHello(hello, this.deps.random);
    const id = order.agent?.id ?? newId('client', this.deps.random);
    this.names += 1;
    const name = String(this.names);
    const token = order.graceMs === 0 ? '' : tokenOf(this.deps.nodeId, name, this.deps.secret());
    const deps = { ...this.deps, isDraining: () => this.isDraining };
    const session = new Session({ id, token }, order, deps, stream, () => {
      this.sessions.delete(session);
      this.byName.delete(name);
      if (this.byAgent.get(id) === session) void session.makeWay().then(() => this.freed(session));
      if (this.sessions.size === 0) this.rest();
    });
    this.sessions.add(session);
    if (token !== '') this.byName.set(name, session);
    stream.listener = session.listener(stream);
    this.watch();
    await session.open(session.isAgent ? this.vacate(id) : undefined);
    if (session.isAgent && this.sessions.has(session)) this.byAgent.set(id, session);
  }

  /** Tells all programs to go elsewhere, and takes no new ones. */
  drain(): void {
    this.isDraining = true;
    for (const session of this.sessions) session.drain();
  }

  /** Resolves when no program waits for anything any more, at the latest after `graceMs`. */
  async quiet(graceMs: number): Promise<void> {
    const { clock } = this.deps;
    const untilMs = clock.monotonicMs() + graceMs;
    while (clock.monotonicMs() < untilMs && [...this.sessions].some((session) => session.isBusy))
      await new Promise<void>((resolve) => clock.after(QUIET_EVERY_MS, resolve));
  }

  /** Ends all sessions. */
  close(): void {
    this.isDraining = true;
    for (const session of [...this.sessions]) session.end(refusals.ending());
    this.rest();
  }

  /** @throws NOT_FOUND / UNKNOWN_SESSION, INVALID_ARGUMENT. */
  private resume({ resumeToken, received, credit }: Hello, stream: ListenedStream): void {
    const session = this.byName.get(nameOf(resumeToken) ?? '');
    if (session === undefined || !isSame(session.token, resumeToken)) throw refusals.unknownSession();
    if (credit > MAX_CREDIT) throw refusals.wrongCredit(`is more than ${MAX_CREDIT}`);
    session.resume(stream, Number(received), credit || DEFAULT_CREDIT);
    stream.listener = session.listener(stream);
  }

  /** A program that is away gives way to one that says hello anew, as after a crash. @throws ALREADY_EXISTS: the one that has the id is there. */
  private async vacate(agentId: string): Promise<void> {
    const before = this.byAgent.get(agentId);
    if (before?.stays) throw refusals.isAttached(agentId, this.deps.nodeId);
    await before?.makeWay();
  }

  private freed(session: Session): void {
    if (this.byAgent.get(session.id) === session) this.byAgent.delete(session.id);
  }

  private watch(): void {
    const { clock } = this.deps;
    const dueMs = clock.monotonicMs() + PROBE_EVERY_MS;
    this.disarm ??= clock.after(PROBE_EVERY_MS, () => {
      this.disarm = undefined;
      // Timers run before sockets are read: what programs have said while this process was blocked is not heard yet.
      const isLate = clock.monotonicMs() - dueMs >= LATE_MS;
      for (const session of this.sessions) session.probe(ASK_AFTER_MS, isLate ? Number.POSITIVE_INFINITY : END_AFTER_MS);
      if (this.sessions.size > 0) this.watch();
    });
  }

  private rest(): void {
    this.disarm?.();
    this.disarm = undefined;
  }
}

/** Its process, its name there, and a secret. */
function tokenOf(nodeId: string, name: string, secret: Buffer): string {
  return `${nodeId}/${name}/${secret.toString('base64url')}`;
}

function nameOf(token: string): string | undefined {
  return token.split('/')[1];
}

/** The process that a resume token is of; undefined for what is no token. */
export function nodeOfToken(token: string): string | undefined {
  const parts = token.split('/');
  return parts.length === 3 ? parts[0] : undefined;
}

/** In a time that says nothing of where they differ. */
function isSame(token: string, given: string): boolean {
  const [a, b] = [Buffer.from(token), Buffer.from(given)];
  return a.length === b.length && timingSafeEqual(a, b);
}
