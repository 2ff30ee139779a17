#!/usr/bin/env node
/** @file The `pareto` command. It looks at Node's version before it loads code that an older one cannot read. */

const OLDEST_NODE = 24;

if (Number(process.versions.node.split(".")[0]) < OLDEST_NODE) {
  process.stderr.write(
    `error NODE_VERSION: pareto runs on Node ${OLDEST_NODE} and newer, got ${process.version}\n  where  ${process.execPath}\n  fix    Install a newer Node from https://nodejs.org, or run it with: npx -p node@26 -p pareto pareto …\n`,
  );
  process.exit(2);
}
await cacheStrippedTypes();
const { run } = await import("./run.ts");
await run();

/** From its sources, each worker would load a compiler of TypeScript of its own, some 18 MB; cached code needs none. */
async function cacheStrippedTypes(): Promise<void> {
  if (!import.meta.url.endsWith(".ts")) return;
  const { enableCompileCache } = await import("node:module");
  const { cacheFolder } = await import("../base/cacheFolder.ts");
  // Workers look for it here; Node adds a folder for its version and the user.
  process.env["NODE_COMPILE_CACHE"] ??= cacheFolder("node");
  enableCompileCache(process.env["NODE_COMPILE_CACHE"]);
}
