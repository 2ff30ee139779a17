/**
 * @file Keeps the documentation in step with the code: writes `docs/cli.md` from the commands' own options and
 * `docs/policies.md` from the policies' definitions, copies example files into the pages that show them, and follows
 * every relative link. With `--check` it writes nothing and fails where a page is stale.
 *
 * It runs neither the examples nor the benchmarks: `--demo FILE` and `--bench FILE` put the table of a saved output of
 * `npm start` or `npm run bench` into every page that shows it; what was measured on a GPU, of proteins or of language
 * models comes from the newest files in `bench/results`, and so does `docs/images`.
 */
import { mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { cliPage, policiesPage } from "./docs/commandPages.ts";
import { withExamples, withTable } from "./docs/copies.ts";
import { brokenLinks } from "./docs/links.ts";
import { recallPlot } from "./docs/llmResults.ts";
import { withResults } from "./docs/measured.ts";

const root = dirname(import.meta.dirname);
const { values: flags } = parseArgs({
  options: { check: { type: "boolean" }, demo: { type: "string" }, bench: { type: "string" } },
});
const problems: string[] = [];

/** Folders of pages, beside those at the top. */
const FOLDERS = ["docs", "examples", "models", "recipes"];

/** Every page, by its path. */
async function pagePaths(): Promise<string[]> {
  const top = (await readdir(root)).filter((name) => name.endsWith(".md"));
  const below = await Promise.all(
    FOLDERS.map(async (folder) => {
      const names = await readdir(join(root, folder), { recursive: true });
      return names.filter((name) => name.endsWith(".md")).map((name) => `${folder}/${name}`);
    }),
  );
  return [...top, ...below.flat()].sort();
}

async function keep(file: string, wanted: string): Promise<void> {
  const now = await readFile(join(root, file), "utf8").catch(() => "");
  if (now === wanted) return;
  if (flags.check) problems.push(`${file} is stale: run node scripts/docs.ts`);
  else {
    await mkdir(dirname(join(root, file)), { recursive: true });
    await writeFile(join(root, file), wanted);
  }
}

await keep("docs/cli.md", await cliPage());
await keep("docs/policies.md", await policiesPage());
const plot = await recallPlot();
if (plot !== null) await keep("docs/images/recall-by-budget.svg", plot);
const paths = await pagePaths();
for (const file of paths) {
  const page = await withExamples(await readFile(join(root, file), "utf8"), root);
  const tables = await withTable(await withTable(page, "demo", flags.demo), "bench", flags.bench);
  await keep(file, await withResults(tables));
}
// Links to headings are followed when every page is as it will be.
for (const file of paths)
  problems.push(...(await brokenLinks(root, file, await readFile(join(root, file), "utf8"))));
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
