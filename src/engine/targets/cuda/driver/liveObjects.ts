/** @file Counts objects of the driver that are open, so that a test can show that nothing leaks. */

const live = new Map<string, number>();

/** Notes that an object was opened. */
export function opened(kind: string): void {
  live.set(kind, (live.get(kind) ?? 0) + 1);
}

/** Notes that an object was closed. */
export function closed(kind: string): void {
  live.set(kind, (live.get(kind) ?? 0) - 1);
}

/** How many objects of each kind are open in this process; kinds with none are left out. */
export function liveObjects(): Readonly<Record<string, number>> {
  return Object.fromEntries([...live].filter(([, count]) => count !== 0));
}
