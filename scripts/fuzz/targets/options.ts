/** @file What users write: configuration files, policies as text, options of CSV files. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { allCommands } from "../../../src/cli/commandTree.ts";
import { readConfigFile } from "../../../src/cli/options/configFile.ts";
import { readCsvOptions } from "../../../src/cli/options/csv.ts";
import { mergeValues } from "../../../src/cli/options/mergeValues.ts";
import { kvPolicy } from "../../../src/llm/kv/kvPolicies.ts";
import { thresholdPolicies } from "../../../src/protein/threshold/thresholdPolicy.ts";
import { createModel, fullModelText } from "../../../src/recsys/models/registry.ts";
import type { ClickSchema } from "../../../src/recsys/data/batches/clickBatch.ts";
import { hotPolicies } from "../../../src/recsys/strategies/fae/hotPolicies.ts";
import { shuffleRatePolicies } from "../../../src/recsys/strategies/fae/shuffleRate.ts";
import { parseStrategy } from "../../../src/recsys/strategies/registry.ts";
import { splitPolicyList } from "../../../src/run/policies/policyText.ts";
import { ParetoError } from "../../../src/base/errors.ts";
import { singleFiles, type FuzzTarget } from "../target.ts";

const configFile: FuzzTarget = {
  name: "config-file",
  makeSeeds: async () =>
    singleFiles(
      "config.json",
      [
        {
          source: ["a.csv"],
          label: "y",
          epochs: 3,
          learningRate: 0.1,
          categorical: ["a", "b"],
          strategy: "fae:budget=1MiB",
        },
        { source: "a.fa", top: 3, format: "tsv", minProb: 0.5, threads: 1 },
        { model: "m", prompt: "x", kv: "keyformer:budget=50%", maxNewTokens: 3, temperature: 0.5, topK: 0 },
      ].map((value) => JSON.stringify(value)),
    ),
  words: ['"$schema":"x",', '"epochs":', '"50%"', '"1GiB"', "null", '"device":"cuda"', '"split":'],
  async read(folder) {
    const file = await readConfigFile(join(folder, "config.json"));
    for (const { command } of await allCommands())
      typedOnly(() => mergeValues({ ...command.operands, ...command.options }, {}, file));
  },
};

/** Each way in which a text may be read is tried; those that refuse it do not keep it from the others. */
function typedOnly(read: () => void): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof ParetoError)) throw error;
  }
}

const schema: ClickSchema = {
  label: "y",
  dense: [{ name: "d", transform: "standard", mean: 0, deviation: 1 }],
  categorical: [{ name: "c", encoding: "hash", cardinality: 10, multiHot: false }],
};

const policies: FuzzTarget = {
  name: "policies",
  makeSeeds: async () =>
    singleFiles("policy.txt", [
      "keyformer:budget=50%,sinks=4",
      "window:budget=100",
      "h2o",
      "full",
      "fae:budget=64MiB,sample=5%,shuffle=(adaptive:start=20)",
      "baseline",
      "topk",
      "threshold",
      "adaptive:start=50",
      "dlrm:dim=8,bottom=16,top=(16,8)",
      "window,keyformer:noise=none,sinks=4,h2o",
    ]),
  words: [
    ":",
    "=",
    ",",
    "(",
    ")",
    "budget=",
    "%",
    "1e9",
    "MiB",
    "__proto__=1",
    "constructor",
    "over=(",
    "dim=1",
    "NaN",
  ],
  async read(folder) {
    const text = await readFile(join(folder, "policy.txt"), "utf8");
    const attempts: (() => unknown)[] = [
      () => splitPolicyList(text, "text"),
      () => kvPolicy(text, KV_CONTEXT),
      () => parseStrategy(text),
      () => hotPolicies.parse(text, "text"),
      () => shuffleRatePolicies.parse(text, "text").create(),
      () => thresholdPolicies.parse(text, "text").create(),
      () => fullModelText(text),
      () => createModel(text, schema),
    ];
    for (const attempt of attempts) typedOnly(attempt);
  },
};

const KV_CONTEXT = { maxNewTokens: 100 };

const csvOptions: FuzzTarget = {
  name: "csv-options",
  makeSeeds: async () =>
    singleFiles("csv.txt", ["delim=;,decimal=,,header=no,encoding=latin-1", "skip=3,quote='"]),
  words: ["delim=", "decimal=", "thousands=", "header=", "encoding=utf-16", ",", "tab", "\t"],
  async read(folder) {
    readCsvOptions(await readFile(join(folder, "csv.txt"), "utf8"));
  },
};

/** Readers of what users write. */
export const optionTargets: readonly FuzzTarget[] = [configFile, policies, csvOptions];
