import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A network of containers: each in a network namespace of its own on one bridge, and found by its name. */
export class Network {
  /** For /etc/hosts of each. */
  readonly hosts: string;
  private readonly folder = mkdtempSync(join(tmpdir(), 'troupe-network-'));
  private readonly name = `trp${process.pid}`;

  constructor(
    private readonly ip: string,
    private readonly members: readonly string[],
  ) {
    this.hosts = join(this.folder, 'hosts');
    const lines = members.map((member) => `${this.addressOf(member)} ${member}`);
    writeFileSync(this.hosts, `127.0.0.1 localhost\n${lines.join('\n')}\n`);
    this.run('link', 'add', this.name, 'type', 'bridge');
    this.run('address', 'add', `${SUBNET}.1/24`, 'dev', this.name);
    this.run('link', 'set', this.name, 'up');
    members.forEach((member, index) => {
      this.join(member, `${this.name}-${index}`);
    });
  }

  /** The path of a member's network namespace. */
  namespaceOf(member: string): string {
    return `/run/netns/${this.namespace(member)}`;
  }

  addressOf(member: string): string {
    return `${SUBNET}.${this.members.indexOf(member) + 2}`;
  }

  close(): void {
    for (const member of this.members)
      if (existsSync(this.namespaceOf(member))) this.run('netns', 'delete', this.namespace(member));
    this.run('link', 'delete', this.name);
    rmSync(this.folder, { recursive: true, force: true });
  }

  private join(member: string, outside: string): void {
    const namespace = this.namespace(member);
    this.run('netns', 'add', namespace);
    this.run('link', 'add', outside, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', namespace);
    this.run('link', 'set', outside, 'master', this.name, 'up');
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

/** Of those that are set aside for documentation (RFC 5737): nothing real is there. */
const SUBNET = '203.0.113';
