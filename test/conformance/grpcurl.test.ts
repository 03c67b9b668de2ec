import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { describeGrpcClient } from '../support/grpc-client-suite.js';
import { grpcurl as clientOf } from '../support/grpc-clients.js';
import { describeMessagesOf } from '../support/grpc-messages-suite.js';
import { ROOT, startProcess, startTroupe, type TestProcess } from '../support/processes.js';
import { client } from '../support/roles.js';
import { grpcurl } from './toolchains.js';

const ADDRESS = '127.0.0.1:8080';

/** A line of a document that calls grpcurl, and the block right after its own, which shows what it prints. */
interface Line {
  readonly document: string;
  readonly command: string;
  readonly shown: string | undefined;
}

const outside = clientOf(grpcurl());

describeGrpcClient(outside);

describe('grpcurl, as the documents have it,', () => {
  let address: string;

  beforeAll(async () => {
    const agents = ['dist/examples/agents/index.js', 'examples/agents/notes.mjs'].flatMap((path) => [
      '--agents',
      join(ROOT, path),
    ]);
    const dev = startTroupe(['dev', '--port', '0', '--node-port', '0', '--registry-port', '0', ...agents]);
    address = String((await dev.ready()).grpc);
    await eventually(() => client(address).request('notes-1', { search: 'here' }), { timeoutMs: 20_000 });
  }, 60_000);

  describeMessagesOf(outside, () => address);

  it.each(linesOf().map((line) => [`${line.document}: ${line.command}`, line] as const))('%s', async (_, { command, shown }) => {
    expect(command).toContain(ADDRESS);
    const started = startSh(command.replaceAll(ADDRESS, address));
    if (command.endsWith('/Subscribe')) {
      await started.line((line) => line.includes('"subscribed"'));
      return;
    }
    const { code } = await started.exit;
    const printed = `${started.lines.join('\n')}${started.stderr}`;
    if (shown?.startsWith('ERROR:')) {
      expect(code).not.toBe(0);
      expect(printed.trim()).toBe(shown.trim());
    } else {
      expect({ code, stderr: started.stderr }).toEqual({ code: 0, stderr: '' });
      expect(printed.trim()).not.toBe('');
      if (command.includes('/') && !command.includes(' describe ')) JSON.parse(`[${printed.replaceAll(/^\}\s*^\{/gm, '},{')}]`);
    }
  });
});

function startSh(command: string): TestProcess {
  return startProcess('sh', ['-ec', command.replace(/^grpcurl\b/, '"$0"'), grpcurl()]);
}

/** Every line of the README and of docs/ that begins with grpcurl, in a block of commands. */
function linesOf(): Line[] {
  const inDocs = readdirSync(join(ROOT, 'docs'), { recursive: true }).map((name) => join('docs', String(name)));
  return ['README.md', ...inDocs.filter((name) => name.endsWith('.md')).sort()].flatMap((document) => {
    const blocks = [
      ...readFileSync(join(ROOT, document), 'utf8').matchAll(/^```(\w*)\n([\s\S]*?)^```$\s*?(?:\n\n```\n([\s\S]*?)^```$)?/gm),
    ];
    return blocks.flatMap(([, language = '', text = '', after]) => {
      if (language !== 'sh' && language !== 'console') return [];
      const commands = text
        .split('\n')
        .map((line) => line.replace(/^\$ /, ''))
        .filter((line) => line.startsWith('grpcurl '));
      return commands.map((command) => ({ document, command, shown: commands.length === 1 ? after : undefined }));
    });
  });
}
