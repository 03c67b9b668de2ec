import { notJoined } from './not-joined.js';
import type { ClusterView } from './view.js';

/** A process serves a moment before it has seen the cluster: calls that come then wait for that so long. */
const FIRST_VIEW_MS = 3_000;

/**
 * Resolves when this process has seen the cluster; undefined when it has. @throws UNAVAILABLE / NOT_JOINED where it has not after 3 s: whoever
 * lost another process comes as soon as this one listens, and "no such agent" or "that node has left" would be what it does not know yet.
 */
export function firstView(view: ClusterView): Promise<void> | undefined {
  return view.hasSeenCluster ? undefined : seen(view);
}

async function seen(view: ClusterView): Promise<void> {
  if (!(await view.until(() => view.hasSeenCluster, FIRST_VIEW_MS))) throw notJoined();
}
