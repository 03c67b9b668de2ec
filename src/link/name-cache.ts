const SLOTS = 1024;

/**
 * Strings for bytes that come again and again, such as the ids of agents: the same string each time, without decoding it. Bounded: of names that share
 * a slot the last one is kept.
 */
export class NameCache {
  private readonly names: string[] = new Array<string>(SLOTS).fill('');

  /** The string of `buffer` from `start` to `end`: ASCII by this table, all else decoded as UTF-8, as ever. */
  read(buffer: Buffer, start: number, end: number): string {
    const length = end - start;
    if (length > 64) return buffer.toString('utf8', start, end);
    let hash = length;
    for (let i = start; i < end; i++) hash = (Math.imul(hash, 31) + (buffer[i] as number)) | 0;
    const slot = (hash ^ (hash >>> 10)) & (SLOTS - 1);
    const known = this.names[slot] as string;
    if (known.length === length && isSame(known, buffer, start)) return known;
    const name = buffer.toString('utf8', start, end);
    // A name with other characters is shorter than its bytes, and so never taken for one that is here.
    if (name.length === length) this.names[slot] = name;
    return name;
  }
}

function isSame(name: string, buffer: Buffer, start: number): boolean {
  for (let i = 0; i < name.length; i++) if (name.charCodeAt(i) !== buffer[start + i]) return false;
  return true;
}
