/** @file Where a worker's code lies: `.ts` in a checkout, `.js` in the built package. */

/**
 * URL of a worker module beside the caller.
 * @param name relative path without ending, e.g. `./denseWorker`
 * @param base the caller's `import.meta.url`
 */
export function workerFile(name: string, base: string): URL {
  return new URL(`${name}${base.endsWith(".ts") ? ".ts" : ".js"}`, base);
}
