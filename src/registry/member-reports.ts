import type { MemberReport } from '../gen/troupe/v1/registry.js';

/** The reports that one keep-alive stream brings. */
export interface ReportStream {
  /** A lease was renewed; a renewal without a report says nothing new. */
  renewed(leaseId: bigint, report: MemberReport | undefined): void;
  end(): void;
}

/** Beyond them, the oldest is forgotten. */
const MAX_REPORTS = 10_000;
/** What a report says of a circuit's last failure is cut to this. */
const MAX_FAILURE_BYTES = 256;

/**
 * What members told with their last heartbeat, by lease. In memory, and for as long as the stream lives that brought it: a registry
 * knows only of those that renew through it.
 */
export class MemberReports {
  private readonly byLease = new Map<bigint, { readonly report: MemberReport; readonly stream: ReportStream }>();

  get size(): number {
    return this.byLease.size;
  }

  of(leaseId: bigint): MemberReport | undefined {
    return this.byLease.get(leaseId)?.report;
  }

  forget(leaseId: bigint): void {
    this.byLease.delete(leaseId);
  }

  /** A stream begins; `end` it. */
  open(): ReportStream {
    const leases = new Set<bigint>();
    const stream: ReportStream = {
      renewed: (leaseId, report) => {
        if (report === undefined) return;
        leases.add(leaseId);
        this.set(leaseId, report, stream);
      },
      end: () => {
        // A member may be back already, on another stream.
        for (const leaseId of leases) if (this.byLease.get(leaseId)?.stream === stream) this.forget(leaseId);
      },
    };
    return stream;
  }

  private set(leaseId: bigint, report: MemberReport, stream: ReportStream): void {
    this.forget(leaseId);
    this.byLease.set(leaseId, { report: bounded(report), stream });
    if (this.byLease.size <= MAX_REPORTS) return;
    const [oldest] = this.byLease.keys();
    if (oldest !== undefined) this.forget(oldest);
  }
}

function bounded(report: MemberReport): MemberReport {
  return { ...report, circuits: report.circuits.map((circuit) => ({ ...circuit, lastFailure: cut(circuit.lastFailure) })) };
}

/** A copy: a slice would keep all of the text. */
function cut(text: string): string {
  return Buffer.byteLength(text) <= MAX_FAILURE_BYTES ? text : Buffer.from(text).toString('utf8', 0, MAX_FAILURE_BYTES);
}
