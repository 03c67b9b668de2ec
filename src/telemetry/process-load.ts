import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { Clock } from '../core/clock.js';

/** How busy this process is. */
export interface ProcessLoad {
  /** How late the event loop was, 99th percentile. */
  readonly eventLoopDelayMs: number;
  /** CPU that it used, in cores. */
  readonly cpuCores: number;
}

/** What there is to measure; each call measures since the one before. */
export interface LoadProbe {
  /** CPU time of the process since its start, in microseconds. */
  cpuMicros(): number;
  /** 99th percentile of the event loop's delay since the last call, in milliseconds. */
  takeDelayMs(): number;
  close(): void;
}

const SAMPLE_MS = 1_000;
/** Of the event loop's timer: a hundred measurements to a sample. */
const RESOLUTION_MS = 10;

/** Measures the load of this process once a second, so that it costs nothing to tell it in every reply. */
export class ProcessLoadSampler {
  private sampled: ProcessLoad = { eventLoopDelayMs: 0, cpuCores: 0 };
  private probe: LoadProbe | undefined;
  private cancel: () => void = () => undefined;
  private sampledAtMs = 0;
  private cpuMicros = 0;

  constructor(
    private readonly clock: Clock,
    private readonly openProbe: () => LoadProbe = openProcessProbe,
  ) {}

  /** The load of the last second or two; 0 until there is a sample. */
  get current(): ProcessLoad {
    return this.sampled;
  }

  start(): void {
    if (this.probe !== undefined) return;
    const probe = this.openProbe();
    this.probe = probe;
    this.sampledAtMs = this.clock.monotonicMs();
    this.cpuMicros = probe.cpuMicros();
    this.sampleLater(probe);
  }

  stop(): void {
    this.cancel();
    this.probe?.close();
    this.probe = undefined;
  }

  private sampleLater(probe: LoadProbe): void {
    this.cancel = this.clock.after(SAMPLE_MS, () => {
      this.sample(probe);
      this.sampleLater(probe);
    });
  }

  private sample(probe: LoadProbe): void {
    const now = this.clock.monotonicMs();
    const cpuMicros = probe.cpuMicros();
    const elapsedMs = Math.max(1, now - this.sampledAtMs);
    this.sampled = {
      eventLoopDelayMs: probe.takeDelayMs(),
      cpuCores: (cpuMicros - this.cpuMicros) / 1000 / elapsedMs,
    };
    this.sampledAtMs = now;
    this.cpuMicros = cpuMicros;
  }
}

function openProcessProbe(): LoadProbe {
  const histogram: IntervalHistogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  return {
    cpuMicros() {
      const { user, system } = process.cpuUsage();
      return user + system;
    },
    takeDelayMs() {
      // The histogram holds the time between two runs of its timer, so the timer's own pause is in it.
      const delayMs = histogram.count === 0 ? 0 : Math.max(0, histogram.percentile(99) / 1e6 - RESOLUTION_MS);
      histogram.reset();
      return delayMs;
    },
    close: () => histogram.disable(),
  };
}
