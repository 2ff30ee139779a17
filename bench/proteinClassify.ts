/**
 * @file `pareto protein classify` with the arguments given, and what it took: seconds from the program's start, and the
 * highest resident memory, as one line of JSON after the command's own output. Give `--out`.
 */
process.argv.splice(2, 0, "protein", "classify", "--quiet");
await import("../src/cli/main.ts");
if (process.exitCode) process.exit();
const peakRssBytes = process.resourceUsage().maxRSS * 1024;
// `performance.now` counts from the start of the process.
console.log(JSON.stringify({ seconds: performance.now() / 1000, peakRssBytes }));
