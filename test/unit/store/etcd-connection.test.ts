import { describe, expect, it } from '@jest/globals';
import { systemClock } from '../../../src/core/clock.js';
import { EtcdConnection, type EtcdOptions } from '../../../src/store/etcd-connection.js';

const tls = { ca: Buffer.from('') };

describe('EtcdConnection', () => {
  it.each<[string, EtcdOptions, string]>([
    ['no endpoint', { endpoints: [] }, 'endpoints'],
    ['an endpoint without a port', { endpoints: ['http://etcd'] }, 'endpoints'],
    ['an endpoint with a path', { endpoints: ['http://etcd:2379/v3'] }, 'endpoints'],
    ['an unknown scheme', { endpoints: ['unix://etcd:2379'] }, 'endpoints'],
    ['https beside http', { endpoints: ['https://a:2379', 'http://b:2379'] }, 'endpoints'],
    ['TLS files with http', { endpoints: ['http://a:2379'], tls }, 'endpoints'],
    ['a name without a password', { endpoints: ['a:2379'], username: 'root' }, 'password'],
  ])('refuses %s', (_, options, field) => {
    expect(() => new EtcdConnection(systemClock, options)).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', violations: [expect.objectContaining({ field })] }),
    );
  });

  it('takes addresses with and without a scheme, and goes round them', () => {
    const connection = new EtcdConnection(systemClock, { endpoints: ['a:2379', 'http://b:2379/', 'http://[::1]:2379'] });
    const seen: string[] = [];
    for (let i = 0; i < 4; i++) {
      seen.push(connection.endpoint().address);
      connection.leave(connection.endpoint());
    }
    expect(seen).toEqual(['a:2379', 'b:2379', '[::1]:2379', 'a:2379']);
    const first = connection.endpoint();
    connection.leave(first);
    connection.leave(first);
    expect(connection.endpoint().address).toBe('[::1]:2379');
    connection.close();
  });
});
