import { setTimeout as delay } from 'node:timers/promises';
import { TroupeError } from '../core/errors.js';
import type { Membership } from '../discovery/membership.js';
import { notJoined } from '../discovery/not-joined.js';
import { Links } from '../link/links.js';
import { DeadLetters } from '../messaging/dead-letters.js';
import { Directory } from '../messaging/directory.js';
import { HeldMessages } from '../messaging/held-messages.js';
import { Interest } from '../messaging/interest.js';
import { InterestView } from '../messaging/interest-view.js';
import { MessageRouter } from '../messaging/message-router.js';
import type { MessagingService } from '../messaging/messaging-service.js';
import { AgentPostOffice } from '../messaging/post-office.js';
import { Subscriptions } from '../messaging/subscriptions.js';
import { type ReceivedTasks, refuseTask } from '../node/received-tasks.js';
import type { NodeTaskExecutor } from '../tasks/remote-executor.js';
import type { Logger } from '../telemetry/logger.js';
import { type MessagingHost, mountMessaging } from './mount-messaging.js';

/** How long others have to send what they still have to say before the links end. */
const LAST_WORDS_MS = 500;

interface Parts extends MessagingHost {
  readonly logger: Logger;
}

/** What does tasks over links. */
interface TaskParts {
  readonly executor: NodeTaskExecutor;
  /** Of a process that hosts agents. */
  readonly received: ReceivedTasks | undefined;
}

/** What carries the messages and tasks of a process, put together. */
export class MemberMessaging {
  readonly links: Links;
  readonly router: MessageRouter;
  readonly office: AgentPostOffice;
  readonly deadLetters: DeadLetters;
  private readonly directory: Directory;
  private readonly interestView: InterestView;
  private interest: Interest | undefined;
  private service: MessagingService | undefined;
  private tasks: TaskParts | undefined;

  constructor(
    nodeId: string,
    private readonly member: Parts,
  ) {
    const { view, clock, random, channels, logger } = member;
    this.deadLetters = new DeadLetters(clock);
    this.interestView = new InterestView(view);
    this.directory = new Directory(view, clock, (agentId) => this.router.found(agentId));
    const own = {
      want: (pattern: string) => this.interest?.want(pattern) ?? Promise.reject(notJoined()),
      unwant: (pattern: string) => this.interest?.unwant(pattern),
    };
    this.router = new MessageRouter({
      nodeId,
      directory: this.directory,
      held: new HeldMessages(clock),
      subscriptions: new Subscriptions(own, this.interestView),
      deadLetters: this.deadLetters,
      clock,
      random,
      links: () => this.links,
    });
    this.links = new Links(
      { nodeId, channels, view, clock, random, logger },
      {
        envelope: (peer, envelope) => this.router.receive(peer, envelope),
        task: (peer, task) => {
          if (this.tasks?.received !== undefined) this.tasks.received.task(peer, task);
          else if (task.content?.$case === 'execute' || task.content?.$case === 'stream')
            refuseTask(peer, task.id, noAgents(nodeId));
        },
        outcome: (peer, outcome) => this.tasks?.executor.outcome(peer, outcome),
        broken: (peer, error) => {
          this.router.broken(peer);
          this.tasks?.executor.broken(peer, error);
          this.tasks?.received?.broken(peer);
        },
        unsent: (peer, error) => {
          this.router.unsent(peer, error);
          this.tasks?.executor.unsent(peer, error);
        },
      },
    );
    this.office = new AgentPostOffice({ messages: this.router, clock, random });
  }

  /** Different topic patterns that agents and clients of this process want. */
  get topicsWanted(): number {
    return this.interest?.size ?? 0;
  }

  /** Serves Messaging and links. */
  mount(membership: Membership, tasks: TaskParts): void {
    this.tasks = tasks;
    const { clock, random, server } = this.member;
    this.interest = new Interest({ membership, clock, random });
    this.links.mount(server);
    const { router: messages, interestView: interest, deadLetters } = this;
    this.service = mountMessaging(this.member, membership, { messages, interest, deadLetters }, tasks.received === undefined);
  }

  /** Tells all others that nothing new is to be sent here, and waits a moment for what they have sent before they knew. */
  async drain(): Promise<void> {
    await this.interest?.close();
    await Promise.race([this.links.drain(), delay(LAST_WORDS_MS)]);
  }

  /** Answers all calls within `graceMs`, says what is still to be said, then ends everything. */
  async end(graceMs: number): Promise<void> {
    const { server } = this.member;
    this.service?.close();
    const ended = server.shutdown(graceMs);
    // Their answers come over links.
    await server.quiet(graceMs);
    this.links.finish();
    await delay(LAST_WORDS_MS);
    await ended;
  }

  close(): void {
    const error = new TroupeError('CANCELLED', 'CANCELLED', 'this process ends');
    this.router.close(error);
    this.links.close();
    this.directory.close();
    this.interestView.close();
  }
}

function noAgents(nodeId: string): TroupeError {
  return new TroupeError('FAILED_PRECONDITION', 'NO_AGENTS', `"${nodeId}" hosts no agents`);
}
