import { beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from './eventually.js';
import type { GrpcClient } from './grpc-clients.js';
import { client, freePort, launch, type Role, roleOf, startGateway, startNode, startRegistry } from './roles.js';

const CHECK = 'grpc.health.v1.Health/Check';

/** What every client from outside must be able to do. */
export function describeGrpcClient(outside: GrpcClient): void {
  let registry: Role;
  let node: Role;
  let gateway: Role;

  beforeAll(async () => {
    registry = await startRegistry();
    [node, gateway] = await Promise.all([startNode('node-1', registry.address), startGateway(registry.address)]);
    const troupe = client(gateway.address);
    await eventually(() => troupe.deploy({ id: 'echo-1', kind: 'echo' }, 'node-1'));
  }, 30_000);

  describe(`${outside.name}, which knows nothing but an address,`, () => {
    it('learns the services of every role', async () => {
      const listed = async (role: Role) =>
        (await outside.services(role.address)).stdout.split('\n').filter((line) => line !== '');
      const common = ['grpc.health.v1.Health'];
      for (const [role, services] of [
        [registry, ['troupe.v1.Registry']],
        [node, ['troupe.v1.Node', 'troupe.v1.Tasks']],
        [gateway, ['troupe.v1.Node', 'troupe.v1.Registry', 'troupe.v1.Tasks']],
      ] as const)
        expect(await listed(role)).toEqual(expect.arrayContaining([...common, ...services]));
    });

    it('learns what services and messages are for', async () => {
      expect(await outside.describe(gateway.address, 'troupe.v1.Tasks')).toContain('Runs a task and waits for its result');
      expect(await outside.describe(gateway.address, 'troupe.v1.Task')).toContain(
        'What the agent must be able to do: all of them',
      );
    });

    it('runs a task, and streams one', async () => {
      const task = { required_capabilities: ['echo'], payload: { json: { path: 'examples/data/sales.csv' } } };
      for (const role of [node, gateway]) {
        const ran = await outside.call(role.address, 'troupe.v1.Tasks/Run', { task });
        expect({ code: ran.code, stderr: ran.stderr }).toEqual({ code: 0, stderr: '' });
        expect(JSON.parse(ran.stdout)).toMatchObject({
          result: {
            agentId: 'echo-1',
            nodeId: 'node-1',
            state: 'TASK_STATE_COMPLETED',
            payload: { json: { input: { path: 'examples/data/sales.csv' } } },
          },
        });
      }
      const streamed = await outside.call(gateway.address, 'troupe.v1.Tasks/RunStream', { task });
      expect(streamed.stdout).toMatch(/accepted[\s\S]*routed[\s\S]*result/);
    });

    it('is told the details of an error', async () => {
      const wrong = await outside.call(gateway.address, 'troupe.v1.Tasks/Run', {
        task: { id: 'a/b', required_capabilities: ['Not A Name'] },
      });
      expect(wrong.code).not.toBe(0);
      const text = `${wrong.stdout}${wrong.stderr}`;
      expect(text).toMatch(outside.code('INVALID_ARGUMENT'));
      expect(outside.errorInfo(wrong)).toMatchObject({ reason: 'INVALID_FIELD', domain: 'troupe.dev' });
      expect(text).toMatch(/task\.required_capabilities\[0\]/);
      expect(text).toMatch(/task\.id/);

      const unknown = await outside.call(gateway.address, 'troupe.v1.Tasks/Run', {
        task: { required_capabilities: ['juggling'] },
      });
      expect(`${unknown.stdout}${unknown.stderr}`).toMatch(outside.code('NOT_FOUND'));
      expect(outside.errorInfo(unknown)).toMatchObject({ reason: 'NO_AGENT', domain: 'troupe.dev' });
    });

    it('hears SERVING of who is ready, of each of its services', async () => {
      for (const [role, service] of [
        [registry, 'troupe.v1.Registry'],
        [node, 'troupe.v1.Tasks'],
        [gateway, ''],
      ] as const)
        expect(JSON.parse((await outside.call(role.address, CHECK, { service })).stdout)).toEqual({ status: 'SERVING' });
      const unknown = await outside.call(gateway.address, CHECK, { service: 'nothing.here' });
      expect(`${unknown.stdout}${unknown.stderr}`).toMatch(outside.code('NOT_FOUND'));
    });

    it('hears NOT_SERVING of a gateway and a node that have no registry, and SERVING once it is there', async () => {
      const registryPort = await freePort();
      const late = ['--registry', `127.0.0.1:${registryPort}`];
      const waiting = await Promise.all(
        (['gateway', 'node'] as const).map(async (role) => {
          const port = await freePort();
          return { process: launch(role, ['--port', String(port), ...late]), address: `127.0.0.1:${port}` };
        }),
      );
      for (const { address, process } of waiting) {
        await eventually(
          async () => expect(JSON.parse((await outside.call(address, CHECK)).stdout)).toEqual({ status: 'NOT_SERVING' }),
          { timeoutMs: 10_000 },
        );
        expect(process.lines).toEqual([]);
      }
      const refused = await outside.call(waiting[0]?.address ?? '', 'troupe.v1.Registry/GetStats');
      expect(`${refused.stdout}${refused.stderr}`).toMatch(outside.code('UNAVAILABLE'));
      expect(outside.errorInfo(refused)).toMatchObject({ reason: 'REGISTRY_UNAVAILABLE', domain: 'troupe.dev' });
      launch('registry', ['--port', String(registryPort)]);
      for (const { address, process } of waiting) {
        await roleOf(process);
        expect(JSON.parse((await outside.call(address, CHECK)).stdout)).toEqual({ status: 'SERVING' });
      }
    });
  });
}
