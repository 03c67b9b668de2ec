// The loops that load every peer of the bench of messages: the same few lines for all of them, so that the difference is the peer.
// `send(payload, done)` sends one request and calls `done(error)` once, later: with undefined or null when its answer has come.
import { latencies, summary } from './stats.mjs';

/** Publications between two reports of a process of subscribers: seldom enough to cost nothing. */
const REPORT_EVERY = 64;
/** For what is on its way when a loop ends. */
const DRAIN_MS = 10_000;

/** Keeps `inFlight` requests under way for `seconds`, each followed by the next. The clock is read once for each. */
export function closedLoop(send, { inFlight, seconds, payload }) {
  const tally = new Tally();
  const startMs = performance.now();
  const endMs = startMs + seconds * 1000;
  return new Promise((resolve) => {
    let lanes = inFlight;
    const openLane = () => {
      let sentMs = performance.now();
      const done = (error) => {
        const nowMs = performance.now();
        tally.add(nowMs - sentMs, error);
        if (nowMs < endMs) {
          sentMs = nowMs;
          send(payload, done);
        } else if (--lanes === 0) {
          resolve({ ...tally.result(), perSecond: tally.calls / ((nowMs - startMs) / 1000) });
        }
      };
      send(payload, done);
    };
    for (let i = 0; i < inFlight; i++) openLane();
  });
}

/**
 * Sends `perSecond` requests for `seconds`, evenly spaced, whatever becomes of them. Latencies count from when a request was due. It
 * looks at the clock in every turn of the event loop (a timer would come a millisecond late), so this process takes a whole core.
 * With a second's worth of requests under way it gives up: `overloaded`.
 */
export function openLoop(send, { perSecond, seconds, payload }) {
  const tally = new Tally();
  const total = Math.round(perSecond * seconds);
  let sent = 0;
  let ended = 0;
  let overloaded = false;
  const startMs = performance.now();
  return new Promise((resolve) => {
    const sendOne = (dueMs) => {
      send(payload, (error) => {
        tally.add(performance.now() - dueMs, error);
        ended += 1;
      });
    };
    const turn = () => {
      const nowMs = performance.now();
      while (sent < total && !overloaded) {
        const dueMs = startMs + (sent * 1000) / perSecond;
        if (dueMs > nowMs) break;
        overloaded = sent - ended >= perSecond;
        sent += 1;
        sendOne(dueMs);
      }
      if (ended === sent && (sent === total || overloaded)) resolve({ ...tally.result(), perSecond, overloaded });
      else setImmediate(turn);
    };
    turn();
  });
}

class Tally {
  calls = 0;
  errors = 0;
  #firstError;
  #histogram = latencies();

  add(ms, error) {
    if (error === undefined || error === null) {
      this.calls += 1;
      this.#histogram.recordValue(Math.max(1, Math.round(ms * 1000)));
    } else {
      this.errors += 1;
      this.#firstError ??= error.message;
    }
  }

  result() {
    return { calls: this.calls, errors: this.errors, firstError: this.#firstError, ...summary(this.#histogram) };
  }
}

/** Counts what the `count` subscribers of a process get, and tells `report` how many publications that comes to, now and then. */
export function deliveryCounter(count) {
  let delivered = 0;
  let reportAt = REPORT_EVERY * count;
  const counter = {
    /** Set by the role: says to the publisher that all of these subscribers have got so many publications. */
    report: () => {},
    delivered: () => {
      delivered += 1;
      if (delivered !== reportAt) return;
      reportAt += REPORT_EVERY * count;
      counter.report(delivered / count);
    },
  };
  return counter;
}

/**
 * A publisher in a closed loop: at most `inFlight` publications that not all processes of subscribers have reported yet. Nothing may
 * be lost: a loop ends when all was reported.
 */
export class PublisherLoop {
  #reported;
  #published = 0;
  #least = 0;
  #pump = () => {};

  constructor(processes) {
    this.#reported = Array.from({ length: processes }, () => 0);
  }

  /** A report of the process of subscribers with this index. */
  reported(index, publications) {
    this.#reported[index] = publications;
    this.#least = Math.min(...this.#reported);
    this.#pump();
  }

  /** Gives how many publications reached everybody, and in which time. */
  run(publish, { inFlight, seconds, payload }) {
    if (inFlight < 2 * REPORT_EVERY) throw new RangeError(`inFlight must be at least ${2 * REPORT_EVERY}`);
    const before = this.#published;
    const startMs = performance.now();
    const endMs = startMs + seconds * 1000;
    return new Promise((resolve, reject) => {
      const overdue = setTimeout(
        () => reject(new Error(`of ${this.#published} publications, ${this.#reported.join(', ')} were reported`)),
        seconds * 1000 + DRAIN_MS,
      );
      this.#pump = () => {
        const nowMs = performance.now();
        const ending = nowMs >= endMs;
        // Up to a publication that is reported.
        while (this.#published - this.#least < inFlight && !(ending && this.#published % REPORT_EVERY === 0)) {
          this.#published += 1;
          publish(payload);
        }
        if (!ending || this.#least !== this.#published) return;
        this.#pump = () => {};
        clearTimeout(overdue);
        const publications = this.#published - before;
        resolve({ publications, perSecond: publications / ((nowMs - startMs) / 1000) });
      };
      this.#pump();
    });
  }
}
