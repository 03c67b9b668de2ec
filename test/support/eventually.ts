const FIRST_PAUSE_MS = 2;
const LONGEST_PAUSE_MS = 100;

/** What `check` gives once it no longer throws. @throws what it threw last, when that takes longer than `timeoutMs` (5 s). */
export async function eventually<T>(check: () => T | Promise<T>, options: { readonly timeoutMs?: number } = {}): Promise<T> {
  const endMs = performance.now() + (options.timeoutMs ?? 5_000);
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)) {
    try {
      return await check();
    } catch (error) {
      if (performance.now() + pauseMs > endMs) throw error;
    }
    await new Promise<void>((resolve) => setTimeout(resolve, pauseMs));
  }
}
