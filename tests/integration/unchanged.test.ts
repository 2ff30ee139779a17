/**
 * @file What small runs compute is what they computed when `golden/unchanged` was recorded: weights, metrics, tokens and
 * classifications are the same to the bit. On another kind of processor than the recorded one ONNX Runtime rounds
 * otherwise; there figures of the `cpu` target are compared within a tolerance. The `reference` target, and the kernels
 * of embedding rows, round alike everywhere.
 */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { makeClickLog, trainOnCsv, trainOnDevice, trainOnMadeLog } from "../support/unchanged/clicks.ts";
import { expectAlike, expectSame, TOLERANCE } from "../support/unchanged/compare.ts";
import {
  GENERATING_MODELS,
  generateTogether,
  generateUnderPolicies,
} from "../support/unchanged/generation.ts";
import { LM_CASES, trainSmallLm } from "../support/unchanged/languageModels.ts";
import { isSameKind, processorHere, type Processor } from "../support/unchanged/processor.ts";
import { classifyRecords, trainSmallProtein } from "../support/unchanged/proteins.ts";
import {
  CNN,
  LM_REFERENCE,
  PROFAMNET,
  PROTEIN_REFERENCE,
  RECORDS,
  REFERENCE,
} from "../support/unchanged/runs.ts";

type Json = Record<string, unknown>;
interface Recorded extends Json {
  processor: Processor;
}

const read = async (name: string): Promise<Recorded> => {
  const path = new URL(`../../golden/unchanged/${name}.json`, import.meta.url);
  return JSON.parse(await readFile(path, "utf8")) as Recorded;
};
const [clicks, models, proteins, generation, reference] = await Promise.all(
  ["clicks", "languageModels", "proteins", "generation", "reference"].map(read),
);
const isRecordedKind = isSameKind(clicks!.processor, await processorHere());
const compare = isRecordedKind ? expectSame : expectAlike;
const how = isRecordedKind
  ? "to the bit"
  : `within ${100 * TOLERANCE} %, as this is another kind of processor than the recorded one`;

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-unchanged-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

describe(`on the cpu, ${how}`, () => {
  test("clicks, baseline and FAE with every optimizer", async () => {
    expectSame(await makeClickLog(root), clicks!["log"]);
    compare(await trainOnMadeLog(root), clicks!["made"]);
  });

  test("clicks from a CSV file on two threads", async () => {
    compare(await trainOnCsv(root, false, 2), clicks!["csv"]);
  });

  test("clicks from a CSV file, stopped and resumed", async () => {
    compare(await trainOnCsv(root, true), clicks!["csv"]);
  });

  test.each(LM_CASES)("a language model: %s", async (name) => {
    compare(await trainSmallLm(root, name, { device: "cpu", threads: 1 }), (models!["runs"] as Json)[name]);
  });

  test("a language model with dropout, stopped and resumed", async () => {
    const run = await trainSmallLm(root, "gpt2", { device: "cpu", threads: 1, isStopped: true });
    compare(run, (models!["runs"] as Json)["gpt2"]);
  });

  test("ProFamNet on two threads", async () => {
    compare(await trainSmallProtein(root, "profamnet", { ...PROFAMNET, threads: 2 }), proteins!["profamnet"]);
  });

  test("ProFamNet, stopped and resumed", async () => {
    const run = await trainSmallProtein(root, "profamnet", { ...PROFAMNET, isStopped: true });
    compare(run, proteins!["profamnet"]);
  });

  test("the CNN", async () => {
    compare(await trainSmallProtein(root, "cnn", CNN), proteins!["cnn"]);
  });

  test.each(["tsv", "json"])(`what protein classify writes of ${RECORDS} records as %s`, async (format) => {
    compare(await classifyRecords(root, RECORDS, format), proteins![format]);
  });

  test.each(GENERATING_MODELS)("tokens and logits of %s under every policy", async (name) => {
    compare(await generateUnderPolicies(name), (generation!["models"] as Json)[name]);
  });

  test("tokens of texts that share a runner, on two threads", async () => {
    const found = await generateTogether("shakespeare", 2);
    if (isRecordedKind) expectSame(found, generation!["together"]);
    else expect(found.map((tokens) => tokens.length)).toEqual([12, 5, 16, 8, 10, 9]);
  });
});

describe("on the reference target, to the bit on every machine", () => {
  test.each(["llama", "gpt2"] as const)("a language model: %s", async (name) => {
    expectSame(await trainSmallLm(root, name, LM_REFERENCE), reference![name]);
  });

  test.each(["profamnet", "cnn"] as const)("a protein network: %s", async (name) => {
    expectSame(await trainSmallProtein(root, name, PROTEIN_REFERENCE), reference![name]);
  });

  test("clicks, baseline and FAE", async () => {
    expectSame(await makeClickLog(root), clicks!["log"]);
    expectSame(await trainOnDevice(root, REFERENCE), reference!["clicks"]);
  });
});
