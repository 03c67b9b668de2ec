import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AgentManifest, ManifestInput } from '../agent/manifest.js';
import { messageOf, TroupeError } from '../core/errors.js';
import { isId } from '../core/ids.js';
import type { Logger } from '../telemetry/logger.js';

const SUFFIX = '.json';

/**
 * The manifests of a node's agents on its own disk: a node that comes back after a crash brings its agents with it. One file
 * an agent, written beside and renamed, so that a crash leaves the old or the new one.
 */
export class ManifestStore {
  /** `directory` undefined: keeps nothing. */
  constructor(
    private readonly directory: string | undefined,
    private readonly logger: Logger,
  ) {}

  /** @throws FAILED_PRECONDITION / DATA_DIR: the directory cannot be written. */
  async save(manifest: AgentManifest): Promise<void> {
    if (this.directory === undefined) return;
    try {
      await mkdir(this.directory, { recursive: true });
      const path = this.path(manifest.id);
      await writeFile(`${path}.new`, `${JSON.stringify(manifest, null, 2)}\n`, { flush: true });
      await rename(`${path}.new`, path);
    } catch (error) {
      throw this.failed(error);
    }
  }

  async remove(agentId: string): Promise<void> {
    if (this.directory !== undefined) await rm(this.path(agentId), { force: true });
  }

  /** What was saved, by id. A file that cannot be read is logged and left alone. @throws FAILED_PRECONDITION / DATA_DIR. */
  async load(): Promise<ManifestInput[]> {
    if (this.directory === undefined) return [];
    let names: string[];
    try {
      await mkdir(this.directory, { recursive: true });
      names = await readdir(this.directory);
    } catch (error) {
      throw this.failed(error);
    }
    const manifests: ManifestInput[] = [];
    for (const name of names.sort()) {
      if (!name.endsWith(SUFFIX)) continue;
      try {
        const manifest = JSON.parse(await readFile(join(this.directory, name), 'utf8')) as ManifestInput;
        if (!isId(manifest.id) || `${manifest.id}${SUFFIX}` !== name) throw new Error('its id does not match its name');
        manifests.push(manifest);
      } catch (error) {
        this.logger.error('a saved manifest cannot be read', { file: name, reason: messageOf(error) });
      }
    }
    return manifests;
  }

  private path(agentId: string): string {
    return join(this.directory ?? '', `${agentId}${SUFFIX}`);
  }

  private failed(error: unknown): TroupeError {
    return new TroupeError(
      'FAILED_PRECONDITION',
      'DATA_DIR',
      `the data directory cannot be used: ${messageOf(error)}; give another --data-dir`,
      { cause: error },
    );
  }
}
