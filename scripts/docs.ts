/**
 * @file Keeps the documentation in step with the code: writes `docs/cli.md` from the commands' own options and
 * `docs/policies.md` from the policies' definitions, copies
 * example files into the pages that show them, and follows every relative link. With `--check` it writes nothing and
 * fails where a page is stale. It runs neither the examples nor the benchmarks: `--demo FILE` and `--bench FILE` put
 * the table of a saved output of `npm start` or `npm run bench` into every page that shows it; what was measured on a
 * GPU, of proteins or of language models comes from the newest files in `bench/results`, `docs/images` too.
 */
import { access, mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { parseArgs } from "node:util";
import { benchTable, type BenchRow } from "../bench/harness/rows.ts";
import type { AnyCommand } from "../src/cli/command.ts";
import { allCommands } from "../src/cli/commandTree.ts";
import { commonOptions } from "../src/cli/options/common.ts";
import { optionText, syntax } from "../src/cli/options/spec.ts";
import { LISTED_KINDS, listPolicies, type ListedPolicy } from "../src/cli/policyList.ts";
import { POLICY_KINDS } from "../src/run/policies/policy.ts";
import { llmQuality, recallPlot, llmSpeed, llmSummary } from "./llmResults.ts";
import { proteinQuality } from "./proteinResults.ts";
import { linkTo, newestResult } from "./resultFiles.ts";
import { speedResults } from "./speedResults.ts";

const root = dirname(import.meta.dirname);
const { values: flags } = parseArgs({
  options: { check: { type: "boolean" }, demo: { type: "string" }, bench: { type: "string" } },
});
const isCheck = flags.check ?? false;
const problems: string[] = [];

const CLI_INTRO = `# Command line

Made from the commands' own options by \`node scripts/docs.ts\`. In a checkout a command runs as \`npm run -s pareto -- recsys train …\`, once installed as \`npx pareto recsys train …\`.

Every option can stand in a JSON file too, by its name in camelCase, and so can operands: \`pareto recsys train --config run.json\` with \`{ "source": ["clicks.parquet"], "label": "y", "batchSize": 512 }\`. What the command line says wins over the file, the file over the defaults. \`--config-schema\` prints the file's JSON Schema, for editors that look for \`$schema\`.

A failure ends with a code, where it happened, the value received and a fix. Exit status: 0 done, 2 wrong input or options, 130 stopped by Ctrl-C after saving, 1 anything else. \`NO_COLOR\` is honoured.
`;

function commandPage(name: string, { summary, operands, options }: AnyCommand): string {
  const usage = [name, ...Object.entries(operands).map(([key, spec]) => syntax(key, spec)), "[options]"];
  const rows = Object.entries({ ...operands, ...options, ...commonOptions }).map(([key, spec]) => {
    const meaning = optionText(spec).replaceAll("|", "\\|").replaceAll("<", "&lt;");
    return `| \`${syntax(key, spec)}\` | ${meaning} |`;
  });
  return `## ${name}\n\n${summary}\n\n\`${usage.join(" ")}\`\n\n| option | meaning |\n|---|---|\n${rows.join("\n")}\n`;
}

/** The page of all commands. */
async function cliPage(): Promise<string> {
  const commands = await allCommands();
  return [CLI_INTRO, ...commands.map(({ name, command }) => commandPage(name, command))].join("\n");
}

const POLICIES_INTRO = `# Policies

Made from the policies' definitions by \`node scripts/docs.ts\`; \`pareto policies\` prints the same. A policy is written as its name, or with options behind a colon: \`keyformer:budget=50%,noise=none\`. In a configuration file it is that text, or an object: \`{ "name": "keyformer", "budget": "50%" }\`.
`;

/** The page of all policies. */
async function policiesPage(): Promise<string> {
  const policies = await listPolicies();
  const sections = LISTED_KINDS.map((kind) => {
    const listed = policies.filter((policy) => policy.kind === kind).map(policySection);
    const about = POLICY_KINDS[kind];
    return [`## ${kind}\n\nDecides ${about}.\n`, ...listed].join("\n");
  });
  return [POLICIES_INTRO, ...sections].join("\n");
}

function policySection({ name, summary, source, options }: ListedPolicy): string {
  const head = `### ${name}\n\n${summary} Source: ${source}.\n`;
  if (options.length === 0) return head;
  const rows = options.map(({ name: key, takes, default: value, meaning }) => {
    const cells = [`\`${key}\``, takes, value ?? "–", meaning];
    return `| ${cells.map((cell) => cell.replaceAll("|", "\\|").replaceAll("<", "&lt;")).join(" | ")} |`;
  });
  return `${head}\n| option | takes | default | meaning |\n|---|---|---|---|\n${rows.join("\n")}\n`;
}

/** A page with the example after each `<!-- file: PATH -->` as that file is now, imports as a user writes them. */
async function withExamples(page: string): Promise<string> {
  let text = page;
  for (const [whole, path, language] of page.matchAll(/<!-- file: (\S+) -->\n\n```(\w+)\n[^]*?\n```/g)) {
    const code = (await readFile(join(root, path!), "utf8")).replace(/^\/\*\*[^]*?\*\/\n/, "");
    const shown = code.replaceAll(/"(?:\.\.\/)+src\/(\w+)\/index\.ts"/g, '"pareto/$1"').trimEnd();
    text = text.replace(whole, () => `<!-- file: ${path} -->\n\n\`\`\`${language}\n${shown}\n\`\`\``);
  }
  return text;
}

/** A page with the table of a saved output between `<!-- NAME table -->` and `<!-- end of NAME table -->`. */
async function withTable(page: string, name: string, output: string | undefined): Promise<string> {
  if (output === undefined) return page;
  const lines = (await readFile(output, "utf8")).split("\n");
  const rule = lines.findLastIndex((line) => /^[-─]{3,}[-─ |]*$/.test(line));
  if (rule < 1) throw new Error(`no table in ${output}`);
  // A row has the rule's columns; the first line that has not, or is empty, comes after the table.
  const isRow = (line: string) => line.trim() !== "" && line.includes(" | ") === lines[rule]!.includes(" | ");
  const after = lines.findIndex((line, i) => i > rule && !isRow(line));
  const shown = lines
    .slice(rule - 1, after < 0 ? undefined : after)
    .map((line) => line.trimEnd())
    .join("\n");
  const place = new RegExp(`(<!-- ${name} table -->\n)[^]*?(\n<!-- end of ${name} table -->)`);
  return page.replace(
    place,
    (_, open: string, close: string) => `${open}\n\`\`\`\n${shown}\n\`\`\`\n${close}`,
  );
}

/** What a benchmark of the CUDA target left. */
interface CudaRun {
  machine: { cpu: string; cores: number; node: string; date: string; commit: string | null };
  rows: BenchRow[];
  results: { gpu?: { name: string; driver: string } }[];
}

/** What a run of the tests on a GPU left. */
interface CudaParity {
  gpu: { name: string; driver: string };
  date: string;
  commit: string | null;
  passed: number;
  failed: number;
  skipped: number;
  files: Record<string, { passed: number; failed: number; skipped: number }>;
}

const fenced = (lines: readonly string[]) => ["```", ...lines, "```"].join("\n");

async function cudaRates(): Promise<string> {
  const found = await newestResult<CudaRun>("cuda");
  if (!found) return "Not measured yet.";
  const { machine, rows, results } = found.content;
  const gpu = results.find((result) => result.gpu)?.gpu;
  const where = `${gpu?.name ?? "a GPU"}, driver ${gpu?.driver ?? "unknown"}, ${machine.cores} cores of ${machine.cpu}, Node ${machine.node}`;
  const when = `${machine.date.slice(0, 10)}, commit ${machine.commit ?? "unknown"}`;
  return `${where}; ${when} (${linkTo(found)}).\n\n${fenced(benchTable(rows))}`;
}

async function cudaParity(): Promise<string> {
  const found = await newestResult<CudaParity>("cuda-parity");
  if (!found) return "Not run yet.";
  const { gpu, date, commit, passed, failed, skipped, files } = found.content;
  const count = Object.keys(files).length;
  return `${gpu.name}, driver ${gpu.driver}, ${date.slice(0, 10)}, commit ${commit ?? "unknown"}: ${passed.toLocaleString("en-US")} tests passed in ${count} files, ${failed} failed, ${skipped} skipped (${linkTo(found)}).`;
}

/** A page with what the newest result files say between `<!-- NAME -->` and `<!-- end of NAME -->`. */
async function withResults(page: string): Promise<string> {
  let text = page;
  for (const [name, make] of [
    ["cuda results", cudaRates],
    ["cuda parity", cudaParity],
    ["protein speed", () => speedResults("protein-speed")],
    ["protein quality", proteinQuality],
    ["llm speed", llmSpeed],
    ["llm quality", llmQuality],
    ["llm summary", llmSummary],
  ] as const) {
    const place = new RegExp(`(<!-- ${name} -->\n)[^]*?(\n<!-- end of ${name} -->)`);
    if (!place.test(text)) continue;
    const shown = await make();
    text = text.replace(place, (_, open: string, close: string) => `${open}\n${shown}\n${close}`);
  }
  return text;
}

async function checkLinks(file: string, page: string): Promise<void> {
  for (const [, target] of page.matchAll(/\]\(([^)\s#]+)(?:#[^)]*)?\)/g)) {
    if (/^[a-z]+:/.test(target!)) continue;
    const found = await access(join(root, dirname(file), target!)).then(
      () => true,
      () => false,
    );
    if (!found) problems.push(`${file} links to a file that does not exist: ${target}`);
  }
}

async function keep(file: string, wanted: string): Promise<void> {
  const now = await readFile(join(root, file), "utf8").catch(() => "");
  if (now === wanted) return;
  if (isCheck) problems.push(`${file} is stale: run node scripts/docs.ts`);
  else {
    await mkdir(dirname(join(root, file)), { recursive: true });
    await writeFile(join(root, file), wanted);
  }
}

await keep("docs/cli.md", await cliPage());
await keep("docs/policies.md", await policiesPage());
const plot = await recallPlot();
if (plot !== null) await keep("docs/images/recall-by-budget.svg", plot);
const docs = (await readdir(join(root, "docs"))).filter((name) => name.endsWith(".md"));
const examples = (await readdir(join(root, "examples"), { recursive: true })).filter((name) =>
  name.endsWith(".md"),
);
const pages = [
  "README.md",
  ...docs.map((name) => `docs/${name}`),
  ...examples.map((name) => `examples/${name}`),
];
for (const file of pages) {
  const page = await withExamples(await readFile(join(root, file), "utf8"));
  const tables = await withTable(await withTable(page, "demo", flags.demo), "bench", flags.bench);
  const wanted = await withResults(tables);
  await keep(file, wanted);
  await checkLinks(file, wanted);
}
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
