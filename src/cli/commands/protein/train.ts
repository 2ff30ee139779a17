/** @file `pareto protein train`: from FASTA files to a trained and tested model of protein families. */
import { ParetoError } from "../../../base/errors.ts";
import type { FamilyReport } from "../../../protein/families/families.ts";
import { BASELINE_NAMES, type BaselineName } from "../../../protein/kmer/baselines.ts";
import { summarizeLayers } from "../../../nn/summary.ts";
import { PROTEIN_MODELS, proteinModel, type ProteinModelName } from "../../../protein/models/models.ts";
import type { SequenceSplit, SplitName } from "../../../protein/splits/split.ts";
import type { ProteinConfig, ProteinData, RequestedConfig } from "../../../protein/training/proteinConfig.ts";
import type { TrainProteinResult } from "../../../protein/training/proteinResult.ts";
import { DEFAULT_SETTINGS } from "../../../protein/training/settings.ts";
import { thresholdPolicies } from "../../../protein/threshold/thresholdPolicy.ts";
import { proteinParameters } from "../../../protein/network/traceProtein.ts";
import { trainBaseline } from "../../../protein/training/trainBaseline.ts";
import { trainProtein } from "../../../protein/training/trainProtein.ts";
import { formatBytes, formatCount, formatFixed, formatRate, formatSeconds } from "../../../base/format.ts";
import type { MulticlassMetrics } from "../../../run/metrics/multiclass.ts";
import type { Changes } from "../../../run/resumedConfig.ts";
import { defaultRunPath } from "../../../run/runFolder.ts";
import { choice, decimal, wholeNumber } from "../../../base/optionSchemas.ts";
import { defineCommand, type CommandInput } from "../../command.ts";
import { computeOptions, precision, precisionMeaning } from "../../options/compute.ts";
import { policyText } from "../../options/policy.ts";
import { flag, flagName, inGroup, listWords, operand, option, pathList, words } from "../../options/spec.ts";
import { keptWeights, monitorOf, monitorOption } from "../../options/monitor.ts";
import { requireOneFolder, timeLimit, trainingRunOptions } from "../../options/trainingRun.ts";
import { familyFromOption } from "./familyFrom.ts";
import { interruptible } from "../../interrupt.ts";
import { formatTable, type Output } from "../../output.ts";
import { reportRun } from "../../runReport.ts";

const SPLITS = {
  random: "sequences",
  species: "whole species",
  cluster: "the sequences least like the others",
} as const satisfies Record<SplitName, string>;

const operands = {
  source: operand("source", pathList, {
    meaning: "FASTA files, or folders of them, plain or compressed; one family a file",
    rest: true,
    defaultText: "none, with --resume or --summary",
  }),
};
const options = {
  ...inGroup("Run:", {
    ...trainingRunOptions("runs/DATE-TIME-MODEL-SPLIT", "threads, device and precision"),
    summary: flag("Print the network's layers and parameters; without sources do nothing else"),
  }),
  ...inGroup("Data:", {
    familyFrom: familyFromOption,
    split: option("name", words(SPLITS), {
      meaning: `What is held out for validation and test, 10 % each: ${listWords(SPLITS)}`,
      default: "random",
    }),
    strict: flag("Test on no sequence whose protein has another sequence in training"),
    cap: option("n", wholeNumber({ min: 1 }), {
      meaning: "Most sequences of a family",
      defaultText: "all",
    }),
    minFamily: option("n", wholeNumber({ min: 1 }), {
      meaning: "Fewest distinct sequences of a family that is not left out",
      default: 10,
    }),
    dataSeed: option("n", wholeNumber({ min: 0 }), {
      meaning: "Seed of the draw under --cap and of the split",
      defaultText: "that of --seed",
    }),
  }),
  ...inGroup("Training:", {
    model: option("name", choice([...PROTEIN_MODELS, ...BASELINE_NAMES]), {
      meaning: `Model: profamnet; what it is compared with: cnn, bilstm, larger (ten times its size); or k-mers without a network, which save no model: ${BASELINE_NAMES.join(", ")}`,
      default: DEFAULT_SETTINGS.model,
    }),
    length: option("n", wholeNumber({ min: 4, max: 65_536 }), {
      meaning: "Residues that the network reads; it is trained on the first ones of a longer sequence",
      default: DEFAULT_SETTINGS.length,
    }),
    epochs: option("n", wholeNumber({ min: 1 }), {
      meaning: "Most passes over the training sequences",
      default: 25,
    }),
    patience: option("n", wholeNumber({ min: 1 }), {
      meaning:
        "Epochs without a better figure of --monitor before training stops; after two the learning rate is halved",
      default: DEFAULT_SETTINGS.patience,
    }),
    monitor: monitorOption(["macro-f1", "logloss", "accuracy"]),
    lr: option("x", decimal({ above: 0 }), {
      meaning: "Learning rate of Adam",
      default: DEFAULT_SETTINGS.learningRate,
    }),
    batchSize: option("n", wholeNumber({ min: 1, max: 65_536 }), {
      meaning: "Sequences in a batch",
      defaultText: "128; for fewer than 8,192 training sequences 64, than 4,096 32, than 2,048 16",
    }),
    decoys: option("share", decimal({ min: 0, max: 0.5 }), {
      meaning:
        "Share of each batch, up to a half, that is shuffled and reversed sequences, for which the network learns to name no family; Pareto's own, not of the publication",
      default: DEFAULT_SETTINGS.decoys,
    }),
    flanks: option("share", decimal({ min: 0, max: 1 }), {
      meaning:
        "Share of the sequences that are trained on between random residues, as a domain is in its protein; Pareto's own, not of the publication",
      default: DEFAULT_SETTINGS.flanks,
    }),
    threshold: option("policy", policyText, {
      meaning: `Policy that chooses the probability below which a sequence is of no known family, as name:key=value: ${thresholdPolicies.names.join(" or ")}`,
      default: DEFAULT_SETTINGS.threshold,
    }),
    seed: option("n", wholeNumber({ min: 0 }), {
      meaning: "Seed of weights, dropout and order",
      default: DEFAULT_SETTINGS.seed,
    }),
  }),
  ...inGroup("Device:", {
    ...computeOptions,
    precision: option("name", precision, { meaning: precisionMeaning, default: "float32" }),
  }),
};
type Input = CommandInput<typeof operands & typeof options>;
type Flags = Input["values"];

/** The command. */
export const command = defineCommand({
  summary: "Train and test a network that names the family of a protein, from FASTA files of known families.",
  operands,
  options,
  async run(out, input) {
    const { model, source = [], summary, resume } = input.values;
    if (isBaseline(model)) {
      refuseNetworkOptions(input, model);
      await baseline(out, model, source, input.values);
    } else if (summary && source.length === 0 && resume === undefined) {
      printSummary(out, model, 73);
    } else await train(out, input, source, { ...input.values, model });
  },
});

const isBaseline = (model: Flags["model"]): model is BaselineName =>
  BASELINE_NAMES.includes(model as BaselineName);

/** Flags with a network as model. */
type NetworkFlags = Flags & { model: ProteinModelName };

/** Options of the models that count k-mers. */
const BASELINE_OPTIONS: ReadonlySet<string> = new Set([
  "source",
  "familyFrom",
  "split",
  "strict",
  "cap",
  "minFamily",
  "model",
  "seed",
  "dataSeed",
  "out",
] satisfies (keyof Flags)[]);

function refuseNetworkOptions({ isGiven }: Input, name: BaselineName): void {
  const given = (Object.keys(options) as (keyof typeof options)[]).find(
    (option) => isGiven(option) && !BASELINE_OPTIONS.has(option),
  );
  if (given === undefined) return;
  throw new ParetoError({
    code: "CLI_OPTION",
    where: flagName(given),
    message: `only networks have this option, got --model ${name}`,
    fix: `Leave the option out, or use a network: ${PROTEIN_MODELS.join(", ")}.`,
  });
}

async function baseline(
  out: Output,
  name: BaselineName,
  paths: readonly string[],
  values: Flags,
): Promise<void> {
  requireSource(paths);
  const { run, test, description, parameters, seconds, families, sequences } = await trainBaseline({
    directory: values.out ?? defaultRunPath([name, values.split]),
    name,
    data: dataOf(paths, values),
    seed: values.seed,
    onEvent: out.onEvent,
    onRead: (report, parts) => tellRead(out, report, parts),
  });
  out.result(
    `${quality(test, families.length, values.split)}\nmodel   ${description}; ${formatCount(parameters)} numbers\nspeed   ${formatSeconds(seconds)} for training and test\nrun     ${run}`,
  );
  const { classes: _, confusions: __, ...figures } = test;
  out.json({
    event: "done",
    run,
    finished: true,
    ...figures,
    parameters,
    trainSeconds: seconds,
    sequences,
    families: families.length,
    split: values.split,
    model: name,
  });
}

function requireSource(paths: readonly string[]): void {
  if (paths.length > 0) return;
  throw new ParetoError({
    code: "CLI_SOURCE",
    where: "pareto protein train",
    message: "there is nothing to train on, got no source",
    fix: "Give FASTA files, or a folder with one for each family.",
  });
}

function tellRead(out: Output, { families }: FamilyReport, parts: SequenceSplit): void {
  const kept = families.reduce((n, family) => n + family.kept, 0);
  out.info(
    `${formatCount(families.length)} families, ${formatCount(kept)} distinct sequences: ${formatCount(parts.train.length)} for training, ${formatCount(parts.validation.length)} for validation, ${formatCount(parts.test.length)} for the test`,
  );
}

async function train(
  out: Output,
  { isGiven }: Input,
  paths: readonly string[],
  values: NetworkFlags,
): Promise<void> {
  if (values.resume === undefined) requireSource(paths);
  requireOneFolder(values);
  const onRead = (report: FamilyReport, parts: SequenceSplit) => {
    tellRead(out, report, parts);
    if (values.summary) printSummary(out, values.model, report.families.length);
  };
  const config = configOf(paths, values);
  const job =
    values.resume === undefined
      ? { directory: values.out ?? defaultRunPath([values.model, values.split]), config }
      : { directory: values.resume, resume: changedConfig(config, isGiven, paths) };
  const result = await interruptible(out, (signal, onEvent) =>
    trainProtein({ ...job, ...timeLimit(values), onEvent, onRead, signal }),
  );
  await finish(out, result);
}

function dataOf(paths: readonly string[], values: Flags): ProteinData {
  const { familyFrom, split, cap = null, minFamily: minimum, dataSeed = values.seed } = values;
  return { paths: [...paths], familyFrom, minimum, cap, split, strict: values.strict, dataSeed };
}

function configOf(paths: readonly string[], values: NetworkFlags): RequestedConfig {
  const { model, length, epochs, patience, lr, batchSize, decoys, flanks, threshold, seed } = values;
  const { device, threads, precision } = values;
  if (precision !== "float32" && device !== "cuda") {
    throw new ParetoError({
      code: "CLI_OPTION",
      where: "--precision",
      message: `only a GPU has a choice, got --precision ${precision} with --device ${device}`,
      fix: "Add --device cuda, or leave --precision out.",
    });
  }
  const learningRate = lr;
  const monitor = monitorOf(values.monitor);
  return {
    data: dataOf(paths, values),
    settings: {
      model,
      length,
      ...(batchSize !== undefined && { batchSize }),
      epochs,
      patience,
      monitor,
      learningRate,
      decoys,
      flanks,
      threshold,
      seed,
      device,
      threads,
      precision,
    },
  };
}

/** What a resumed run is asked to change. */
function changedConfig(
  { data, settings }: RequestedConfig,
  isGiven: Input["isGiven"],
  paths: readonly string[],
): Changes<ProteinConfig> {
  const optionOf: Record<string, string> = { minimum: "minFamily", learningRate: "lr" };
  const pick = <T extends object>(values: T): Partial<T> =>
    Object.fromEntries(
      Object.entries(values).filter(([name]) =>
        name === "paths" ? paths.length > 0 : isGiven((optionOf[name] ?? name) as keyof Flags),
      ),
    ) as Partial<T>;
  return { data: pick(data), settings: pick(settings) };
}

async function finish(out: Output, result: TrainProteinResult): Promise<void> {
  const { run, finished, test, validation, families, config, ...facts } = result;
  if (!finished) {
    process.exitCode = 130;
    out.result(`saved; go on with: pareto protein train --resume ${run}`);
    out.json({ event: "done", run, finished });
    return;
  }
  out.result(`${summary(result)}\nmodel   ${result.model}\nrun     ${run}`);
  await reportRun(out, run);
  const { classes: _, confusions: __, ...figures } = test!;
  out.json({
    event: "done",
    run,
    finished,
    ...figures,
    ...facts,
    families: families.length,
    split: config.data.split,
    network: config.settings.model,
  });
}

function quality(test: MulticlassMetrics, families: number, split: SplitName): string {
  const { accuracy, macroF1, weightedF1, top3, calibrationError, rows } = test;
  return [
    `test    accuracy ${formatFixed(accuracy)}, macro-F1 ${formatFixed(macroF1)}, weighted F1 ${formatFixed(weightedF1)}, top-3 ${formatFixed(top3)}, calibration error ${formatFixed(calibrationError)}`,
    `        on ${formatCount(rows)} sequences of ${formatCount(families)} families, held out by the ${split} split`,
  ].join("\n");
}

function summary({ test, config, families, ...facts }: TrainProteinResult): string {
  return [
    quality(test!, families.length, config.data.split),
    `epochs  ${facts.epochs}; ${keptWeights("epoch", facts.bestEpoch, facts.monitor)}`,
    `network ${config.settings.model}, ${formatCount(facts.parameters)} parameters, ${formatBytes(facts.weightBytes)}`,
    `unknown below a probability of ${formatFixed(facts.threshold)}: ${share(facts.thresholdShares!.passing)} of the validation sequences pass, ${share(facts.thresholdShares!.flagged)} of their decoys do not`,
    `speed   ${formatRate(facts.sequencesPerSecond, "sequences")}, ${formatSeconds(facts.trainSeconds)} of training`,
  ].join("\n");
}

const share = (value: number): string => `${(100 * value).toFixed(1)} %`;

function printSummary(out: Output, model: ProteinModelName, classes: number): void {
  const layers = summarizeLayers(proteinParameters(proteinModel(model, classes)));
  const total = layers.reduce((n, layer) => n + layer.parameters, 0);
  const rows = layers.map(({ name, shapes, parameters }) => [
    name,
    shapes.map((shape) => shape.join("×")).join(", "),
    formatCount(parameters),
  ]);
  rows.push(["sum", `${formatBytes(4 * total)} of float32`, formatCount(total)]);
  out.result(
    `${model} for ${classes} families\n${formatTable(["layer", "weights", "parameters"], rows, ["left", "left", "right"])}`,
  );
  out.json({ event: "summary", model, families: classes, layers, parameters: total, bytes: 4 * total });
}
