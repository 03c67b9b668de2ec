import { describe, expect, it } from '@jest/globals';
import { Admission } from '../../../src/upstream/admission.js';
import { NO_POLICY } from '../../../src/upstream/routing-policy.js';
import { FakeClock } from '../../support/fake-clock.js';

describe('a task that needs several capabilities', () => {
  const start = () => {
    const clock = new FakeClock();
    const capabilities = new Map([
      ['read', { rateLimit: { perSecond: 1, burst: 2 } }],
      ['write', { rateLimit: { perSecond: 1, burst: 1 } }],
    ]);
    return { clock, admission: new Admission({ ...NO_POLICY, capabilities }, clock) };
  };
  const refusalOf = (name: string) =>
    expect.objectContaining({
      reason: 'RATE_LIMITED',
      retryAfterMs: 1_000,
      violations: [expect.objectContaining({ field: name })],
    });

  it('uses up nothing of the others when one refuses it', () => {
    const { admission } = start();
    admission.admitTask(['write']);
    for (let i = 0; i < 5; i++) expect(() => admission.admitTask(['read', 'write'])).toThrow(refusalOf('capability:write'));
    admission.admitTask(['read']);
    admission.admitTask(['read']);
    expect(() => admission.admitTask(['read'])).toThrow(refusalOf('capability:read'));
  });

  it('uses up a token of each when it is let in', () => {
    const { admission } = start();
    admission.admitTask(['read', 'write']);
    expect(() => admission.admitTask(['write'])).toThrow(refusalOf('capability:write'));
    admission.admitTask(['read']);
    expect(() => admission.admitTask(['read'])).toThrow(refusalOf('capability:read'));
  });
});
