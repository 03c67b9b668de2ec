import { invalidArgument } from '../core/errors.js';

const DEFAULT_PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 1000;

/** So that a page of large items fits into a message. */
const MAX_PAGE_BYTES = 2 * 1024 * 1024;

/**
 * One page of `all`, ordered by key (AIP-158). A token is the last key of its page, so a list that changes between
 * pages neither repeats nor skips what stays. Where `bytesOf` tells how large items are, a page has at most 2 MiB, or one item.
 * @throws INVALID_ARGUMENT for a wrong size or token.
 */
export function readPage<T>(
  all: Iterable<T>,
  request: { readonly pageSize: number; readonly pageToken: string },
  keyOf: (item: T) => string,
  bytesOf: (item: T) => number = () => 0,
): { items: T[]; nextPageToken: string } {
  if (request.pageSize < 0) throw invalidArgument('page_size', 'must not be negative');
  const size = Math.min(request.pageSize || DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE);
  const after = decodeToken(request.pageToken);
  const rest: [string, T][] = [];
  for (const item of all) {
    const key = keyOf(item);
    if (after === undefined || key > after) rest.push([key, item]);
  }
  rest.sort(([a], [b]) => (a < b ? -1 : 1));
  const page = rest.slice(0, size);
  let bytes = 0;
  const tooMany = page.findIndex(([, item], index) => {
    bytes += bytesOf(item);
    return index > 0 && bytes > MAX_PAGE_BYTES;
  });
  if (tooMany > 0) page.length = tooMany;
  const last = page.at(-1);
  return {
    items: page.map(([, item]) => item),
    nextPageToken: last !== undefined && rest.length > page.length ? encodeToken(last[0]) : '',
  };
}

const TOKEN_PREFIX = 'k:';

function encodeToken(key: string): string {
  return Buffer.from(TOKEN_PREFIX + key).toString('base64url');
}

function decodeToken(token: string): string | undefined {
  if (token === '') return undefined;
  const text = Buffer.from(token, 'base64url').toString();
  if (!text.startsWith(TOKEN_PREFIX) || encodeToken(text.slice(TOKEN_PREFIX.length)) !== token)
    throw invalidArgument('page_token', 'is not a token that this call gave');
  return text.slice(TOKEN_PREFIX.length);
}
