import { readFileSync } from 'node:fs';

/** What scripts/image-test.mjs has built, and with what. */
export interface ImageUnderTest {
  readonly config: ImageConfig;
  readonly layers: readonly string[];
  /** Those of a second build of the same sources. */
  readonly layersAgain: readonly string[];
  readonly arguments: Readonly<Record<'VERSION' | 'REVISION' | 'SOURCE' | 'SOURCE_DATE_EPOCH', string>>;
  readonly compressedBytes: number;
  /** Its files, which nothing runs on; and once more, to run containers on. */
  readonly pristine: string;
  readonly root: string;
  readonly tools: Readonly<Record<'buildah' | 'runc' | 'ip', string>>;
}

export interface ImageConfig {
  readonly User: string;
  readonly Env: readonly string[];
  readonly Entrypoint: readonly string[];
  readonly Cmd: readonly string[];
  readonly WorkingDir: string;
  readonly ExposedPorts: Readonly<Record<string, object>>;
  readonly Labels: Readonly<Record<string, string>>;
  readonly Volumes?: Readonly<Record<string, object>> | null;
  readonly Healthcheck: { readonly Test: readonly string[] };
}

export function imageUnderTest(): ImageUnderTest {
  const file = process.env.TROUPE_IMAGE_TEST;
  if (file === undefined) throw new Error('there is no image to test; run `make image-test`');
  return JSON.parse(readFileSync(file, 'utf8')) as ImageUnderTest;
}
