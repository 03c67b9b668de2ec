import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { type Random, randomInt } from '../core/random.js';

/** The addresses that a name stands for, in one family only. @throws when it stands for none, or nobody answers. */
export type LookUp = (host: string) => Promise<readonly string[]>;

/** As the system does it. IPv4 where there is any: the two families of one process would count as two. */
export const lookUp: LookUp = async (host) => {
  const all = await lookup(host, { all: true });
  const v4 = all.filter(({ family }) => family === 4);
  return (v4.length > 0 ? v4 : all).map(({ address }) => address);
};

/**
 * What `addresses` (`host:port`) stand for: a name with several addresses becomes those, in an order of chance, so that not all processes
 * begin with the same one; any other stays as it is, so that it is looked up anew with each connection. @throws what `lookUp` does.
 */
export async function replicaAddresses(
  addresses: readonly string[],
  { random, lookUp }: { readonly random: Random; readonly lookUp: LookUp },
): Promise<string[]> {
  const expanded = await Promise.all(
    addresses.map(async (address) => {
      const separator = address.lastIndexOf(':');
      const host = address.slice(0, separator);
      if (isIP(host) !== 0 || host.startsWith('[')) return [address];
      const found = await lookUp(host);
      if (found.length < 2) return [address];
      return shuffled(found, random).map((ip) => `${isIP(ip) === 6 ? `[${ip}]` : ip}${address.slice(separator)}`);
    }),
  );
  return [...new Set(expanded.flat())];
}

function shuffled(items: readonly string[], random: Random): string[] {
  const rest = [...items];
  return items.flatMap(() => rest.splice(randomInt(random, rest.length), 1));
}
