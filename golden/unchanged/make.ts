/**
 * @file Records what small runs compute on a CPU, for `tests/integration/unchanged.test.ts`, which holds later states of
 * the project to the same bits.
 *
 * Run: node golden/unchanged/make.ts COMMIT      (COMMIT: that of the sources that are recorded)
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  makeClickLog,
  trainOnCsv,
  trainOnDevice,
  trainOnMadeLog,
} from "../../tests/support/unchanged/clicks.ts";
import {
  GENERATING_MODELS,
  generateTogether,
  generateUnderPolicies,
} from "../../tests/support/unchanged/generation.ts";
import { LM_CASES, trainSmallLm } from "../../tests/support/unchanged/languageModels.ts";
import { processorHere } from "../../tests/support/unchanged/processor.ts";
import { classifyRecords, trainSmallProtein } from "../../tests/support/unchanged/proteins.ts";
import {
  CNN,
  LM_REFERENCE,
  PROFAMNET,
  PROTEIN_REFERENCE,
  RECORDS,
  REFERENCE,
} from "../../tests/support/unchanged/runs.ts";

const [commit] = process.argv.slice(2);
if (!commit) throw new Error("the commit that is recorded is missing, got no argument");
const root = await mkdtemp(join(tmpdir(), "pareto-unchanged-"));
const facts = { commit, node: process.version, processor: await processorHere() };
const here = (name: string) => new URL(name, import.meta.url);
const say = (text: string) => process.stderr.write(`${text}\n`);

async function record(name: string, make: () => Promise<Record<string, unknown>>): Promise<void> {
  const start = performance.now();
  const found = await make();
  await writeFile(here(`${name}.json`), `${JSON.stringify({ ...facts, ...found }, null, 1)}\n`);
  say(`${name}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
}

try {
  await record("clicks", async () => ({
    log: await makeClickLog(root),
    made: await trainOnMadeLog(root),
    csv: await trainOnCsv(root, false),
  }));
  await record("languageModels", async () => {
    const runs: Record<string, unknown> = {};
    for (const name of LM_CASES) runs[name] = await trainSmallLm(root, name, { device: "cpu", threads: 1 });
    return { runs };
  });
  await record("proteins", async () => ({
    profamnet: await trainSmallProtein(root, "profamnet", PROFAMNET),
    cnn: await trainSmallProtein(root, "cnn", CNN),
    tsv: await classifyRecords(root, RECORDS, "tsv"),
    json: await classifyRecords(root, RECORDS, "json"),
  }));
  await record("generation", async () => {
    const models: Record<string, unknown> = {};
    for (const name of GENERATING_MODELS) models[name] = await generateUnderPolicies(name);
    return { models, together: await generateTogether("shakespeare") };
  });
  await record("reference", async () => ({
    llama: await trainSmallLm(root, "llama", LM_REFERENCE),
    gpt2: await trainSmallLm(root, "gpt2", LM_REFERENCE),
    profamnet: await trainSmallProtein(root, "profamnet", PROTEIN_REFERENCE),
    cnn: await trainSmallProtein(root, "cnn", PROTEIN_REFERENCE),
    clicks: await trainOnDevice(root, REFERENCE),
  }));
} finally {
  await rm(root, { recursive: true, force: true });
}
