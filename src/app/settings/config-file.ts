import { type Document, isAlias, isMap, isNode, isScalar, LineCounter, parseDocument, type YAMLMap } from 'yaml';
import { SETTING_OF } from './catalogue.js';
import { nearest } from './nearest.js';
import { ROLES, type Role, type Setting } from './setting.js';
import { quoted } from './show.js';

/** A value of a configuration file, read and found good. */
export interface FileEntry {
  readonly key: string;
  readonly value: unknown;
  /** For this role alone; undefined: for every role that has the setting. */
  readonly section: Role | undefined;
  readonly line: number;
}

export interface ConfigFile {
  readonly path: string;
  readonly entries: readonly FileEntry[];
  /** All that is wrong with it, each with file, line and key. */
  readonly problems: readonly string[];
}

/** A parser that lost its way says so at each bracket. */
const MOST_FAULTS = 10;
/** Nobody writes a longer one; a log file given by a slip is told as such. */
export const MOST_BYTES = 1024 * 1024;
const MOST_ALIASES = 100;

/** What a file of YAML or JSON (which is YAML) says. Never throws: what is wrong is among its problems. */
export function parseConfigFile(path: string, text: string): ConfigFile {
  if (Buffer.byteLength(text) > MOST_BYTES) return { path, entries: [], problems: [`${path}: it must be at most 1 MiB`] };
  const reader = new Reader(path, text);
  reader.read();
  return { path, entries: reader.entries, problems: reader.problems };
}

class Reader {
  readonly entries: FileEntry[] = [];
  readonly problems: string[] = [];
  private readonly lines = new LineCounter();
  private readonly document: Document;

  constructor(
    private readonly path: string,
    private readonly text: string,
  ) {
    this.document = parseDocument(text, { lineCounter: this.lines, prettyErrors: false });
  }

  read(): void {
    const { document, text } = this;
    for (const { code, message, pos } of [...document.errors, ...document.warnings].slice(0, MOST_FAULTS)) {
      if (code === 'DUPLICATE_KEY') this.say(this.lineAt(pos[0]), duplicate(text.slice(pos[0], pos[1] + 40)));
      else this.say(this.lineAt(pos[0]), code === 'MULTIPLE_DOCS' ? 'a second document begins here; a file holds one' : message);
    }
    if (this.problems.length > 0 || document.contents === null) return;
    const { contents } = document;
    if (isScalar(contents) && contents.value === null) return;
    if (isMap(contents)) this.readMap(contents, undefined);
    else this.say(1, 'it must be a map of settings, such as "zone: eu-1"');
  }

  private readMap(map: YAMLMap, section: Role | undefined): void {
    for (const pair of map.items) {
      const key = isScalar(pair.key) ? (pair.key.source ?? String(pair.key.value)) : String(pair.key);
      const line = this.lineOf(pair.key);
      const role = ROLES.find((each) => each === key);
      const value = isAlias(pair.value) ? pair.value.resolve(this.document) : pair.value;
      if (section === undefined && role !== undefined && isSection(value, key)) {
        if (isMap(value)) this.readMap(value, role);
        else if (!isEmpty(value)) this.say(line, `${key}: must be a map of settings of that role`);
      } else this.readEntry(key, value, { section, line });
    }
  }

  private readEntry(
    key: string,
    value: unknown,
    { section, line }: { readonly section: Role | undefined; readonly line: number },
  ): void {
    const setting = SETTING_OF.get(key);
    const wrong = whyNot(key, setting, section);
    if (wrong !== undefined) this.say(line, wrong);
    // As with environment variables: a template that had nothing to fill in has not set it.
    if (setting === undefined || wrong !== undefined || isEmpty(value)) return;
    const given = this.plainValue(value);
    const name = section === undefined ? key : `${section}.${key}`;
    if (given === undefined) {
      this.say(line, `${name} is in itself, or has too many aliases of aliases`);
      return;
    }
    const parsed = setting.kind.read(given);
    if (parsed.ok) this.entries.push({ key, value: parsed.value, section, line });
    else this.say(line, `${name} is ${quoted(setting, given)}: ${parsed.why}`);
  }

  /** Undefined for what is in itself, and for more aliases of aliases than anybody needs. */
  private plainValue(value: unknown): unknown {
    try {
      const plain = isNode(value) ? value.toJS(this.document, { maxAliasCount: MOST_ALIASES }) : value;
      // Throws where a list is in itself.
      JSON.stringify(plain);
      return plain;
    } catch {
      return undefined;
    }
  }

  private lineOf(node: unknown): number {
    const range = (node as { readonly range?: readonly [number, number, number] | null }).range;
    return this.lineAt(range?.[0] ?? 0);
  }

  private lineAt(offset: number): number {
    return this.lines.linePos(offset).line;
  }

  private say(line: number, what: string): void {
    this.problems.push(`${this.path}:${line}: ${what}`);
  }
}

/** `registry` is a section as a map, and the setting of that name otherwise. */
function isSection(value: unknown, key: string): boolean {
  return !SETTING_OF.has(key) || isMap(value);
}

function isEmpty(value: unknown): boolean {
  return value === null || (isScalar(value) && (value.value === null || value.value === ''));
}

function whyNot(key: string, setting: Setting | undefined, section: Role | undefined): string | undefined {
  const given = section === undefined ? key : `${section}.${key}`;
  // Of YAML 1.1, and gone from 1.2.
  if (key === '<<') return `${given}: maps are not merged; put what several roles share above their sections`;
  if (setting === undefined) {
    const names = [...SETTING_OF]
      .filter(([, { roles }]) => section === undefined || roles.includes(section))
      .map(([name]) => name);
    const meant = nearest(key, section === undefined ? [...names, ...ROLES] : names);
    return `unknown key ${given}${meant === undefined ? '' : `; did you mean ${meant}?`}`;
  }
  if (setting.notInFile) return `${given} cannot be set by a file`;
  if (section !== undefined && !setting.roles.includes(section))
    return `${given}: a ${section} has no such setting; ${key} is for ${setting.roles.join(', ')}`;
  return undefined;
}

function duplicate(text: string): string {
  const key = /^["']?(\w+)/.exec(text)?.[1] ?? 'a key';
  const hint =
    key === 'registry' ? '; next to the section, give the addresses of registries in the sections node and gateway' : '';
  return `${key} is there twice${hint}`;
}
