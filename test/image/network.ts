import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * A network of containers: each in a network namespace of its own, found by its name, and reached from here. The bridge between
 * them is in a namespace too, where no firewall of this machine holds up what goes over it.
 */
export class Network {
  /** For /etc/hosts of each. */
  readonly hosts: string;
  private readonly folder = mkdtempSync(join(tmpdir(), 'troupe-network-'));
  private readonly name = `trp${process.pid}`;
  private readonly bridge = `${this.name}-bridge`;

  constructor(
    private readonly ip: string,
    private readonly members: readonly string[],
  ) {
    this.hosts = join(this.folder, 'hosts');
    const lines = members.map((member) => `${this.addressOf(member)} ${member}`);
    writeFileSync(this.hosts, `127.0.0.1 localhost\n${lines.join('\n')}\n`);
    this.run('netns', 'add', this.bridge);
    this.run('-netns', this.bridge, 'link', 'add', 'bridge', 'type', 'bridge');
    this.run('-netns', this.bridge, 'link', 'set', 'bridge', 'up');
    this.run('link', 'add', this.name, 'type', 'veth', 'peer', 'name', 'outside', 'netns', this.bridge);
    this.run('-netns', this.bridge, 'link', 'set', 'outside', 'master', 'bridge', 'up');
    this.run('address', 'add', `${SUBNET}.1/24`, 'dev', this.name);
    this.run('link', 'set', this.name, 'up');
    for (const member of members) this.join(member);
  }

  /** The path of a member's network namespace. */
  namespaceOf(member: string): string {
    return `/run/netns/${this.namespace(member)}`;
  }

  addressOf(member: string): string {
    return `${SUBNET}.${this.members.indexOf(member) + 2}`;
  }

  /** With the namespaces go the links that end in them. */
  close(): void {
    for (const namespace of [this.bridge, ...this.members.map((member) => this.namespace(member))])
      this.run('netns', 'delete', namespace);
    rmSync(this.folder, { recursive: true, force: true });
  }

  private join(member: string): void {
    const namespace = this.namespace(member);
    const port = `port${this.members.indexOf(member)}`;
    this.run('netns', 'add', namespace);
    this.run('-netns', this.bridge, 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    this.run('-netns', this.bridge, 'link', 'set', port, 'master', 'bridge', 'up');
    this.run('-netns', namespace, 'link', 'set', 'lo', 'up');
    this.run('-netns', namespace, 'address', 'add', `${this.addressOf(member)}/24`, 'dev', 'eth0');
    this.run('-netns', namespace, 'link', 'set', 'eth0', 'up');
  }

  private namespace(member: string): string {
    return `${this.name}-${member}`;
  }

  private run(...args: string[]): void {
    execFileSync(this.ip, args, { stdio: ['ignore', 'ignore', 'pipe'] });
  }
}

/** Of those that are set aside for tests of networks (RFC 2544), one for each run. */
const SUBNET = `198.${18 + ((process.pid >> 8) % 2)}.${process.pid % 256}`;
