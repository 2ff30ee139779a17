/** @file `pareto protein classify` as users run it, and what it took. */

/**
 * Runs the command in this process, which has to be its own.
 * @param args of the command; `--out` among them, or its table would be printed
 * @returns seconds from the start of the process to the end of the command, and its highest resident memory
 */
export async function classifyCommand(
  args: readonly string[],
): Promise<{ seconds: number; peakRssBytes: number }> {
  process.argv.splice(2, Infinity, "protein", "classify", "--quiet", ...args);
  await import("../../src/cli/main.ts");
  if (process.exitCode) process.exit();
  // `performance.now` counts from the start of the process.
  return { seconds: performance.now() / 1000, peakRssBytes: process.resourceUsage().maxRSS * 1024 };
}
