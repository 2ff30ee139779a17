/**
 * @file The rules of imports (`.dependency-cruiser.mjs`), each shown by a made tree that breaks it: the linter runs as a
 * child process, as `npm run lint` runs it.
 */
import { spawnSync } from "node:child_process";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, test } from "vitest";

const repository = fileURLToPath(new URL("../../", import.meta.url));

/** A file imports another for its value, for a type, or when it runs. */
type Way = "value" | "type" | "dynamic";

/** Every import of a tree; each file that is named exists. */
type Tree = readonly (readonly [from: string, to: string, way: Way])[];

/** A violation as the linter names it. */
interface Violation {
  from: string;
  to: string;
  rule: { name: string };
}

const statement: Record<Way, (path: string, i: number) => string> = {
  value: (path, i) => `import { x as x${i} } from "${path}";\nexport const y${i} = x${i};\n`,
  type: (path, i) => `import type { X as X${i} } from "${path}";\nexport type Y${i} = X${i};\n`,
  dynamic: (path, i) => `export const load${i} = () => import("${path}");\n`,
};

let root: string;

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-imports-"));
});

afterAll(() => rm(root, { recursive: true, force: true }));

/** Writes a tree and lints it. */
async function violations(name: string, tree: Tree): Promise<string[]> {
  const folder = join(root, name);
  const files = new Map<string, string>();
  for (const file of tree.flatMap(([from, to]) => [from, to])) {
    files.set(file, "export const x = 1;\nexport type X = number;\n");
  }
  for (const [i, [from, to, way]] of tree.entries()) {
    const up = "../".repeat(dirname(from).split("/").length);
    files.set(from, statement[way](`${up}${to}`, i) + files.get(from)!);
  }
  for (const [file, text] of files) {
    await mkdir(dirname(join(folder, file)), { recursive: true });
    await writeFile(join(folder, file), text);
  }
  await writeFile(join(folder, "tsconfig.json"), "{}\n");
  const program = join(repository, "node_modules/dependency-cruiser/bin/dependency-cruise.mjs");
  const config = join(repository, ".dependency-cruiser.mjs");
  const roots = [...new Set([...files.keys()].map((file) => file.split("/")[0]!))];
  const run = spawnSync(process.execPath, [program, "--config", config, "--output-type", "json", ...roots], {
    cwd: folder,
    encoding: "utf8",
  });
  const { summary } = JSON.parse(run.stdout) as { summary: { violations: Violation[] } };
  return summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} → ${to}`).toSorted();
}

test("imports that go down, and of targets by their index, are allowed", async () => {
  const tree: Tree = [
    ["src/cli/main.ts", "src/server/serve.ts", "dynamic"],
    ["src/server/serve.ts", "src/recsys/index.ts", "value"],
    ["src/recsys/index.ts", "src/report/page.ts", "value"],
    ["src/report/page.ts", "src/run/events.ts", "type"],
    ["src/run/events.ts", "src/nn/layers.ts", "value"],
    ["src/nn/layers.ts", "src/engine/graph.ts", "value"],
    ["src/engine/openDevice.ts", "src/engine/targets/cuda/index.ts", "dynamic"],
    ["src/engine/targets/cuda/index.ts", "src/engine/targets/cuda/stream.ts", "value"],
    ["src/engine/graph.ts", "src/base/errors.ts", "value"],
    ["tests/unit/stream.test.ts", "src/engine/targets/cuda/stream.ts", "value"],
    ["bench/rows.ts", "src/engine/targets/cuda/index.ts", "value"],
  ];
  expect(await violations("allowed", tree)).toEqual([]);
});

const ways: readonly Way[] = ["value", "type", "dynamic"];

test.each(ways)("imports by %s against a rule are found", async (way) => {
  const broken: readonly (readonly [rule: string, from: string, to: string])[] = [
    ["no-folder-outside-layers", "src/tools/a.ts", "src/tools/b.ts"],
    ["no-import-between-domains", "src/llm/decode.ts", "src/recsys/model.ts"],
    ["no-import-between-targets", "src/engine/targets/cpu/index.ts", "src/engine/targets/cuda/index.ts"],
    ["no-import-out-of-src", "src/base/files.ts", "tests/unit/fixture.ts"],
    ["no-import-past-target-index", "bench/stream.ts", "src/engine/targets/cuda/driver/stream.ts"],
    ["no-import-past-target-index", "src/llm/pool.ts", "src/engine/targets/cpu/kernels/pool.ts"],
    ["no-upward-import", "src/base/text.ts", "src/engine/graph.ts"],
    ["no-upward-import", "src/protein/classify.ts", "src/cli/main.ts"],
    ["no-upward-import", "src/run/trainer.ts", "src/report/page.ts"],
  ];
  const tree = broken.map(([, from, to]) => [from, to, way] as const);
  expect(await violations(way, tree)).toEqual(
    broken.map(([rule, from, to]) => `${rule}: ${from} → ${to}`).toSorted(),
  );
});

test.each(ways)("a cycle closed by %s is found", async (way) => {
  const tree: Tree = [
    ["src/nn/a.ts", "src/nn/b.ts", "value"],
    ["src/nn/b.ts", "src/nn/c.ts", "value"],
    ["src/nn/c.ts", "src/nn/a.ts", way],
    ["bench/one.ts", "bench/two.ts", way],
    ["bench/two.ts", "bench/one.ts", "type"],
  ];
  const found = await violations(`cycle-${way}`, tree);
  expect(found.map((line) => line.split(":")[0])).toEqual(["no-cycle", "no-cycle"]);
  expect(found.join()).toMatch(/src\/nn/);
  expect(found.join()).toMatch(/bench\/(one|two)/);
});
