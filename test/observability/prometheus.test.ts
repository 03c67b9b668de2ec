import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { cleanUp } from '../support/clean-up.js';
import { eventually } from '../support/eventually.js';
import { ROOT, startProcess } from '../support/processes.js';
import { client, freePort, startGateway, startNode, startRegistry } from '../support/roles.js';

interface Sample {
  readonly metric: Readonly<Record<string, string>>;
  readonly value: readonly [number, string];
}

const SCRAPED_WITHIN = { timeoutMs: 30_000 };

describe('Prometheus, which scrapes a cluster,', () => {
  let prometheus: string;
  let tasks: number;

  async function query(expression: string): Promise<readonly Sample[]> {
    const response = await fetch(`${prometheus}/api/v1/query?query=${encodeURIComponent(expression)}`);
    const { status, data, error } = (await response.json()) as {
      readonly status: string;
      readonly error?: string;
      readonly data: { readonly result: readonly Sample[] };
    };
    expect([status, error]).toEqual(['success', undefined]);
    return data.result;
  }

  const first = async (expression: string) => Number((await query(expression))[0]?.value[1] ?? Number.NaN);

  beforeAll(async () => {
    const tools = JSON.parse(
      execFileSync(process.execPath, ['scripts/install-prometheus.mjs'], {
        cwd: ROOT,
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'ignore'],
      }),
    ) as { readonly prometheus: string };
    const registry = await startRegistry();
    const gateway = await startGateway(registry.address);
    const nodes = await Promise.all(['node-1', 'node-2'].map((id) => startNode(id, registry.address)));
    const targets = await Promise.all(
      [registry, gateway, ...nodes].map(async ({ process }) => String((await process.ready()).ops)),
    );
    const folder = mkdtempSync(join(tmpdir(), 'troupe-prometheus-'));
    cleanUp(() => rmSync(folder, { recursive: true, force: true }));
    const config = join(folder, 'prometheus.yml');
    const job = { job_name: 'troupe', static_configs: [{ targets }] };
    // JSON is YAML.
    writeFileSync(config, JSON.stringify({ global: { scrape_interval: '1s' }, scrape_configs: [job] }));
    const port = await freePort();
    startProcess(tools.prometheus, [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ]);
    prometheus = `http://127.0.0.1:${port}`;
    const troupe = client(gateway.address);
    for (const { id } of nodes) await troupe.deploy({ id: `echo-on-${id}`, kind: 'echo' }, id);
    tasks = 40;
    for (let index = 0; index < tasks; index++) await troupe.run('echo', index);
    await eventually(async () => expect(await query('up{job="troupe"} == 1')).toHaveLength(4), SCRAPED_WITHIN);
  }, 120_000);

  it('reads every role', async () => {
    await eventually(async () => {
      const roles = (await query('troupe_build_info')).map(({ metric }) => metric.role);
      expect(roles.sort()).toEqual(['gateway', 'node', 'node', 'registry']);
    }, SCRAPED_WITHIN);
  });

  it('counts the tasks that were run, at the router and at the nodes', async () => {
    await eventually(async () => {
      expect(await first('sum(troupe_task_duration_seconds_count{capability="echo",code="OK"})')).toBe(tasks);
      expect(await first('sum(troupe_execution_duration_seconds_count{kind="echo"})')).toBe(tasks);
      expect(await query('troupe_execution_duration_seconds_count{kind="echo"} > 0')).toHaveLength(2);
    }, SCRAPED_WITHIN);
  });

  it('makes quantiles of the histograms', async () => {
    await eventually(async () => {
      const p99 = await first(
        'histogram_quantile(0.99, sum by (le) (troupe_rpc_server_duration_seconds_bucket{method="troupe.v1.Tasks/Run"}))',
      );
      expect(p99).toBeGreaterThan(0);
      expect(p99).toBeLessThan(5);
    }, SCRAPED_WITHIN);
  });

  it('knows the type of what it reads', async () => {
    const response = await fetch(`${prometheus}/api/v1/metadata?metric=troupe_task_duration_seconds`);
    expect(await response.json()).toMatchObject({ data: { troupe_task_duration_seconds: [{ type: 'histogram' }] } });
  });

  it('sees every lease young, and every view fresh', async () => {
    expect(await query('troupe_lease_age_seconds > troupe_lease_ttl_seconds')).toEqual([]);
    await eventually(async () => expect(await query('troupe_lease_age_seconds')).toHaveLength(3), SCRAPED_WITHIN);
    expect(await first('max(troupe_view_age_seconds)')).toBeLessThan(10);
  });
});
