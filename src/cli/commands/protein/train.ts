/** @file `pareto protein train`: from FASTA files to a trained and tested model of protein families. */
import { join } from "node:path";
import type { Command } from "commander";
import { ParetoError } from "../../../base/errors.ts";
import type { FamilyReport } from "../../../protein/families/families.ts";
import { BASELINE_NAMES, type BaselineName } from "../../../protein/kmer/baselines.ts";
import { summarizeLayers } from "../../../nn/summary.ts";
import { PROTEIN_MODELS, proteinModel, type ProteinModelName } from "../../../protein/models/models.ts";
import { SPLIT_NAMES, type SequenceSplit, type SplitName } from "../../../protein/splits/split.ts";
import type { ProteinConfig, ProteinData, RequestedConfig } from "../../../protein/training/proteinConfig.ts";
import type { TrainProteinResult } from "../../../protein/training/proteinResult.ts";
import { DEFAULT_SETTINGS, type ProteinSettings } from "../../../protein/training/settings.ts";
import { proteinParameters } from "../../../protein/training/traceProtein.ts";
import { trainBaseline } from "../../../protein/training/trainBaseline.ts";
import { trainProtein } from "../../../protein/training/trainProtein.ts";
import { formatBytes, formatCount, formatFixed, formatRate, formatSeconds } from "../../../base/format.ts";
import { writeReport } from "../../../report/writeReport.ts";
import type { RunEvent } from "../../../run/events.ts";
import type { MulticlassMetrics } from "../../../run/metrics/multiclass.ts";
import type { Changes } from "../../../run/resumedConfig.ts";
import { defaultRunPath } from "../../../run/runFolder.ts";
import { newCommand, withOutput, type CommonFlags } from "../../command.ts";
import { deviceOption, threadsOption, type ComputeFlags } from "../../options/compute.ts";
import { interruptible } from "../../interrupt.ts";
import { formatTable, type Output } from "../../output.ts";
import { proteinReport } from "../../../protein/report.ts";
import { oneOf, positiveNumber, wholeNumber } from "../../options/values.ts";

interface Flags extends CommonFlags, ComputeFlags {
  familyFrom: "file" | "header";
  split: SplitName;
  strict?: true;
  cap?: number;
  minFamily: number;
  dataSeed?: number;
  model: ProteinModelName | BaselineName;
  length: number;
  epochs: number;
  patience: number;
  lr: number;
  batchSize?: number;
  decoys: number;
  flanks: number;
  seed: number;
  precision: ProteinSettings["precision"];
  summary?: true;
  out?: string;
  resume?: string;
}

/** The command. */
export function command(): Command {
  const command = newCommand(
    "train",
    "Train and test a network that names the family of a protein, from FASTA files of known families.",
  )
    .argument("[source...]", "FASTA files, or folders of them, plain or compressed; one family a file")
    .option(
      "--family-from <what>",
      "file: a file is a family, by its name; header: family=NAME, a Pfam or InterPro accession, or NAME| in each header",
      oneOf("--family-from", ["file", "header"]),
      "file",
    )
    .option(
      "--split <name>",
      "what is held out for validation and test, 10 % each: random sequences, whole species, or cluster, the sequences least like the others",
      oneOf("--split", SPLIT_NAMES),
      "random",
    )
    .option("--strict", "test on no sequence whose protein has another sequence in training")
    .option("--cap <n>", "at most so many sequences of a family (default: all)", wholeNumber("--cap", 1))
    .option(
      "--min-family <n>",
      "leave out families of fewer distinct sequences",
      wholeNumber("--min-family", 1),
      10,
    )
    .option(
      "--model <name>",
      `profamnet, or what it is compared with: cnn, bilstm, larger (ten times its size), or k-mers without a network, which save no model: ${BASELINE_NAMES.join(", ")}`,
      oneOf("--model", [...PROTEIN_MODELS, ...BASELINE_NAMES]),
      DEFAULT_SETTINGS.model,
    )
    .option(
      "--length <n>",
      "residues that the network reads; of longer sequences the first are trained on",
      wholeNumber("--length", 4, 65_536),
      DEFAULT_SETTINGS.length,
    )
    .option("--epochs <n>", "passes over the training part, at most", wholeNumber("--epochs", 1), 25)
    .option(
      "--patience <n>",
      "epochs without a better validation macro-F1 before training stops; after two the learning rate is halved",
      wholeNumber("--patience", 1),
      DEFAULT_SETTINGS.patience,
    )
    .option("--lr <x>", "learning rate of Adam", positiveNumber("--lr"), DEFAULT_SETTINGS.learningRate)
    .option(
      "--batch-size <n>",
      "sequences in a batch (default: 128; for fewer than 8,192 training sequences 64, than 4,096 32, than 2,048 16)",
      wholeNumber("--batch-size", 1, 65_536),
    )
    .option(
      "--decoys <share>",
      "share of each batch that is shuffled and reversed sequences, up to a half, for which the network learns to name no family, so that unknown ones are told better; Pareto's own, not of the publication (default: none)",
      positiveNumber("--decoys", 0.5),
      DEFAULT_SETTINGS.decoys,
    )
    .option(
      "--flanks <share>",
      "share of the sequences that are trained on between random residues, as a domain stands in its protein, so that whole proteins are recognised by a domain; Pareto's own, not of the publication (default: none)",
      positiveNumber("--flanks", 1),
      DEFAULT_SETTINGS.flanks,
    )
    .option("--seed <n>", "of weights, dropout and order", wholeNumber("--seed", 0), DEFAULT_SETTINGS.seed)
    .option(
      "--data-seed <n>",
      "of the draw under --cap and of the split (default: that of --seed)",
      wholeNumber("--data-seed", 0),
    )
    .addOption(threadsOption())
    .addOption(deviceOption())
    .option(
      "--precision <name>",
      "cuda: how matrices are multiplied: float32, or tf32, which is faster and keeps 10 bits of mantissa",
      oneOf("--precision", ["float32", "tf32"]),
      "float32",
    )
    .option("--summary", "print the network's layers and parameters; without sources do nothing else")
    .option("--out <dir>", "the run's folder, new or empty (default: runs/DATE-TIME-MODEL-SPLIT)")
    .option("--resume <dir>", "go on with the run in this folder; threads, device and precision may change");
  return command.action((paths: string[], flags: Flags) =>
    withOutput(flags, async (out) => {
      const { model } = flags;
      if (isBaseline(model)) {
        refuseNetworkOptions(command, model);
        await baseline(out, model, paths, flags);
      } else if (flags.summary && paths.length === 0 && flags.resume === undefined) {
        printSummary(out, model, 73);
      } else await train(out, command, paths, { ...flags, model });
    }),
  );
}

const isBaseline = (model: Flags["model"]): model is BaselineName =>
  BASELINE_NAMES.includes(model as BaselineName);

/** Flags with a network as model. */
type NetworkFlags = Flags & { model: ProteinModelName };

/** Options that k-mers heed. */
const BASELINE_OPTIONS: ReadonlySet<string> = new Set([
  "json",
  "quiet",
  "familyFrom",
  "split",
  "strict",
  "cap",
  "minFamily",
  "model",
  "seed",
  "dataSeed",
  "out",
]);

function refuseNetworkOptions(command: Command, name: BaselineName): void {
  const given = command.options.find(
    (option) =>
      command.getOptionValueSource(option.attributeName()) === "cli" &&
      !BASELINE_OPTIONS.has(option.attributeName()),
  );
  if (!given) return;
  throw new ParetoError({
    code: "CLI_OPTION",
    where: given.long!,
    message: `only networks have this option, got --model ${name}`,
    fix: `Leave the option out, or take a network: ${PROTEIN_MODELS.join(", ")}.`,
  });
}

async function baseline(out: Output, name: BaselineName, paths: string[], flags: Flags): Promise<void> {
  requireSource(paths);
  const { run, test, description, parameters, seconds, families, sequences } = await trainBaseline({
    directory: flags.out ?? defaultRunPath([name, flags.split]),
    name,
    data: dataOf(paths, flags),
    seed: flags.seed,
    onEvent: out.onEvent,
    onRead: (report, parts) => tellRead(out, report, parts),
  });
  out.result(
    `${quality(test, families.length, flags.split)}\nmodel   ${description}; ${formatCount(parameters)} numbers\nspeed   ${formatSeconds(seconds)} for training and test\nrun     ${run}`,
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
    split: flags.split,
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

async function train(out: Output, command: Command, paths: string[], flags: NetworkFlags): Promise<void> {
  const said = (name: string) => command.getOptionValueSource(name) === "cli";
  if (flags.resume === undefined) requireSource(paths);
  if (flags.resume !== undefined && flags.out !== undefined) {
    throw new ParetoError({
      code: "CLI_OPTION",
      where: "--out",
      message: `a resumed run stays in its folder, got --out ${flags.out}`,
      fix: "Leave --out out.",
    });
  }
  const events: RunEvent[] = [];
  const onEvent = (event: RunEvent) => {
    if (event.event !== "progress") events.push(event);
    out.onEvent(event);
  };
  let read: FamilyReport | null = null;
  const onRead = (report: FamilyReport, parts: SequenceSplit) => {
    read = report;
    tellRead(out, report, parts);
    if (flags.summary) printSummary(out, flags.model, report.families.length);
  };
  const config = configOf(paths, flags);
  const job =
    flags.resume === undefined
      ? { directory: flags.out ?? defaultRunPath([flags.model, flags.split]), config }
      : { directory: flags.resume, resume: changedFlags(config, said, paths) };
  const result = await interruptible(out, (signal) => trainProtein({ ...job, onEvent, onRead, signal }));
  await finish(out, result, events, read!);
}

function dataOf(paths: string[], flags: Flags): ProteinData {
  const { familyFrom, split, cap = null, minFamily: minimum, dataSeed = flags.seed } = flags;
  return { paths, familyFrom, minimum, cap, split, strict: flags.strict ?? false, dataSeed };
}

function configOf(paths: string[], flags: NetworkFlags): RequestedConfig {
  const { model, length, epochs, patience, lr, batchSize, decoys, flanks, seed } = flags;
  const { device, threads, precision } = flags;
  if (precision !== "float32" && device !== "cuda") {
    throw new ParetoError({
      code: "CLI_OPTION",
      where: "--precision",
      message: `only a GPU has a choice, got --precision ${precision} with --device ${device}`,
      fix: "Add --device cuda, or leave --precision out.",
    });
  }
  const learningRate = lr;
  return {
    data: dataOf(paths, flags),
    settings: {
      model,
      length,
      ...(batchSize !== undefined && { batchSize }),
      epochs,
      patience,
      learningRate,
      decoys,
      flanks,
      seed,
      device,
      threads,
      precision,
    },
  };
}

/** What was said on the command line beside `--resume`. */
function changedFlags(
  { data, settings }: RequestedConfig,
  said: (flag: string) => boolean,
  paths: string[],
): Changes<ProteinConfig> {
  const flagOf: Record<string, string> = { minimum: "minFamily", learningRate: "lr" };
  const pick = <T extends object>(values: T): Partial<T> =>
    Object.fromEntries(
      Object.entries(values).filter(([name]) =>
        name === "paths" ? paths.length > 0 : said(flagOf[name] ?? name),
      ),
    ) as Partial<T>;
  return { data: pick(data), settings: pick(settings) };
}

async function finish(
  out: Output,
  result: TrainProteinResult,
  events: readonly RunEvent[],
  read: FamilyReport,
): Promise<void> {
  const { run, finished, test, validation, families, config, ...facts } = result;
  if (!finished) {
    process.exitCode = 130;
    out.result(`saved; go on with: pareto protein train --resume ${run}`);
    out.json({ event: "done", run, finished });
    return;
  }
  out.result(`${summary(result)}\nmodel   ${result.model}\nrun     ${run}`);
  const report = join(run, "report.html");
  try {
    await writeReport(report, proteinReport(result, events, read));
    out.result(`report  ${report}`);
  } catch (error) {
    // The model is trained and saved; a report that cannot be written is said, and takes nothing back.
    if (!(error instanceof ParetoError)) throw error;
    out.onEvent({
      event: "notice",
      level: "warning",
      code: error.code,
      message: `${error.message}. ${error.fix}`,
    });
  }
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
    `epochs  ${facts.epochs}; the weights are those after epoch ${facts.bestEpoch}, the best on the validation part`,
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
