/** @file A package that is not installed: what needs it says so, and names the version that is pinned. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";

const file = (path: string) => new URL(`../../../${path}`, import.meta.url);
const { dependencies } = JSON.parse(readFileSync(file("package.json"), "utf8")) as {
  dependencies: Record<string, string>;
};

const folder = mkdtempSync(join(tmpdir(), "pareto-missing-"));

afterAll(() => rmSync(folder, { recursive: true }));

/** Runs code in a process, and in its workers, where a package cannot be found; what it throws. */
function failureWithout(name: string, code: string): Record<string, unknown> {
  const hooks = `
    import { registerHooks } from "node:module";
    registerHooks({ resolve(specifier, context, next) {
      if (specifier === ${JSON.stringify(name)}) throw new Error("Cannot find it\\nin any folder");
      return next(specifier, context);
    } });`;
  const program = join(folder, "program.mjs");
  writeFileSync(program, `try { ${code} } catch (error) { console.log(JSON.stringify(error)); }`);
  const { stdout, stderr } = spawnSync(
    process.execPath,
    ["--import", `data:text/javascript,${encodeURIComponent(hooks)}`, program],
    { encoding: "utf8" },
  );
  expect(stderr).toBe("");
  return JSON.parse(stdout) as Record<string, unknown>;
}

const engine = JSON.stringify(file("src/engine/index.ts").href);
const duckdb = JSON.stringify(file("src/recsys/data/source/duckdb.ts").href);

test.each([
  [
    "onnxruntime-node",
    "CPU_RUNTIME_MISSING",
    `const { openDevice } = await import(${engine});
     const device = await openDevice("cpu", { threads: 1 });
     try { await device.createState("w", { shape: [1], dtype: "float32" }); } finally { await device.dispose(); }`,
  ],
  [
    "koffi",
    "CUDA_LIBRARY_MISSING",
    `const { openDevice } = await import(${engine}); await openDevice("cuda");`,
  ],
  [
    "@duckdb/node-api",
    "DUCKDB_MISSING",
    `const { Database } = await import(${duckdb}); await Database.open("spill");`,
  ],
])("without %s the error is %s with the install line", (name, code, program) => {
  expect(failureWithout(name, program)).toEqual({
    code,
    where: name,
    message: expect.stringMatching(new RegExp(`needs the package ${name}, .*got "Cannot find it"$`)),
    fix: `Run: npm install ${name}@${dependencies[name]}`,
  });
});
