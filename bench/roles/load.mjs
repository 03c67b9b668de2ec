// Unary calls in a closed loop (as many under way at once as asked, each followed by the next) or at a fixed rate. The same few lines
// of grpc-js for the baseline and for tasks, so that the difference is what is behind the address.
import grpc from '@grpc/grpc-js';
import { connect } from 'troupe';
import { serveParent } from '../lib/child.mjs';
import { latencies, summary } from '../lib/stats.mjs';

const identity = (bytes) => bytes;
const NOTHING = new grpc.Metadata();
const clients = new Map();

/** Gives `send(callback)`: one call of a target. */
function sender({ kind, address, path, request, text }) {
  let client = clients.get(`${kind} ${address}`);
  if (kind === 'sdk') {
    client ??= connect(address);
    clients.set(`${kind} ${address}`, client);
    return (done) => {
      client
        .run('echo', text)
        .then((result) => done(result.text().length === text.length ? undefined : new Error('wrong')), done);
    };
  }
  client ??= new grpc.Client(address, grpc.credentials.createInsecure());
  clients.set(`${kind} ${address}`, client);
  const bytes = Buffer.from(request);
  return (done) => client.makeUnaryRequest(path, identity, identity, bytes, NOTHING, {}, (error) => done(error ?? undefined));
}

/** Runs a loop for `seconds`, or until it has begun so many calls. */
function run({ target, inFlight, seconds = Number.POSITIVE_INFINITY, most = Number.POSITIVE_INFINITY }) {
  const send = sender(target);
  const histogram = latencies();
  let calls = 0;
  let errors = 0;
  let firstError;
  let begun = 0;
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  return new Promise((resolve) => {
    let loops = inFlight;
    const next = () => {
      const sentMs = performance.now();
      if (sentMs >= endMs || begun === most) {
        loops -= 1;
        if (loops > 0) return;
        const elapsedSeconds = (sentMs - startMs) / 1000;
        resolve({ calls, errors, firstError, perSecond: calls / elapsedSeconds, ...summary(histogram) });
        return;
      }
      begun += 1;
      send((error) => {
        if (error === undefined) {
          calls += 1;
          histogram.recordValue(Math.max(1, Math.round((performance.now() - sentMs) * 1000)));
        } else {
          errors += 1;
          firstError ??= error.message;
        }
        next();
      });
    };
    for (let i = 0; i < inFlight; i++) next();
  });
}

/** Sends `perSecond` calls for `seconds`, evenly spaced, whatever becomes of them. Latencies count from when a call was due. */
function runAt({ target, perSecond, seconds }) {
  const send = sender(target);
  const histogram = latencies();
  const total = Math.round(perSecond * seconds);
  let calls = 0;
  let errors = 0;
  let firstError;
  let sent = 0;
  const startMs = performance.now();
  return new Promise((resolve) => {
    const ended = (dueMs, error) => {
      if (error === undefined) {
        calls += 1;
        histogram.recordValue(Math.max(1, Math.round((performance.now() - dueMs) * 1000)));
      } else {
        errors += 1;
        firstError ??= error.message;
      }
      if (calls + errors === total) resolve({ calls, errors, firstError, perSecond, ...summary(histogram) });
    };
    const sendDue = () => {
      for (; sent < total; sent++) {
        const dueMs = startMs + (sent * 1000) / perSecond;
        if (dueMs > performance.now()) break;
        send((error) => ended(dueMs, error));
      }
      if (sent < total) setTimeout(sendDue, 1);
    };
    sendDue();
  });
}

serveParent({ start: () => ({}), run, runAt });
