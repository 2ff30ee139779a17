/** @file `pareto llm train`: from a recipe to a trained language model, as a folder that every command on models opens. */
import { join } from "node:path";
import type { Command } from "commander";
import { ParetoError } from "../../../base/errors.ts";
import { readRecipe, type Recipe } from "../../../llm/training/recipe.ts";
import type { TrainLmResult } from "../../../llm/training/lmResult.ts";
import { trainLm, type TrainLmOptions } from "../../../llm/training/trainLm.ts";
import { formatCount, formatFixed, formatRate, formatSeconds, formatShare } from "../../../base/format.ts";
import { writeReport } from "../../../report/writeReport.ts";
import type { RunEvent } from "../../../run/events.ts";
import { defaultRunPath } from "../../../run/runFolder.ts";
import { newCommand, withOutput, type CommonFlags } from "../../command.ts";
import { deviceOption, threadsOption, type ComputeFlags } from "../../options/compute.ts";
import { interruptible } from "../../interrupt.ts";
import { lmReport } from "../../../llm/training/report.ts";
import type { Output } from "../../output.ts";
import { oneOf, positiveNumber, wholeNumber } from "../../options/values.ts";

interface Flags extends CommonFlags, ComputeFlags {
  recipe?: string;
  seed?: number;
  maxMinutes?: number;
  precision?: "float32" | "tf32";
  out?: string;
  resume?: string;
}

/** The command. */
export function command(): Command {
  const command = newCommand(
    "train",
    "Train a language model from scratch by a recipe: on synthetic tasks of recall, or on text files.",
  )
    .argument("[text...]", "text files, for a recipe that learns from text")
    .option(
      "--recipe <recipe>",
      "one that ships with Pareto (recall-rotary, recall-alibi, recall-learned, shakespeare), or a JSON file",
    )
    .option(
      "--max-minutes <n>",
      "end after so many minutes; stages and the fall of the learning rate are shortened where time is short",
      positiveNumber("--max-minutes"),
    )
    .option(
      "--seed <n>",
      "of weights, texts and dropout (default: the recipe's)",
      wholeNumber("--seed", 0, 0xffffffff),
    )
    .addOption(threadsOption())
    .addOption(deviceOption())
    .option(
      "--precision <name>",
      "cuda: how matrices are multiplied: float32, or tf32, which is faster and keeps 10 bits of mantissa; attention multiplies in bfloat16 (default: tf32)",
      oneOf("--precision", ["float32", "tf32"]),
    )
    .option("--out <dir>", "the run's folder, new or empty (default: runs/DATE-TIME-NAME)")
    .option("--resume <dir>", "go on with the run in this folder; threads, device and precision may change");
  return command.action((paths: string[], flags: Flags) =>
    withOutput(flags, async (out) => {
      const said = (name: string) => command.getOptionValueSource(name) === "cli";
      const { device, threads, precision, maxMinutes } = flags;
      // A resumed run may be one of a GPU.
      const isOnGpu = device === "cuda" || (flags.resume !== undefined && !said("device"));
      if (precision !== undefined && !isOnGpu)
        throw badOption(
          "--precision",
          `only a GPU has a choice, got --device ${device}`,
          "Add --device cuda.",
        );
      const common = { ...(maxMinutes !== undefined && { maxMinutes }) };
      if (flags.resume !== undefined) {
        const other = ["recipe", "seed", "out"].find(said);
        if (other !== undefined || paths.length > 0)
          throw badOption(
            "--resume",
            `a resumed run keeps its recipe, texts and folder, got ${other === undefined ? paths[0] : `--${other}`}`,
            "Give --resume alone, with --threads, --device, --precision or --max-minutes.",
          );
        const resume = {
          ...(said("device") && { device }),
          ...(said("threads") && { threads }),
          ...(precision !== undefined && { precision }),
        };
        return train(out, { ...common, directory: flags.resume, resume });
      }
      if (flags.recipe === undefined)
        throw badOption(
          "--recipe",
          "a model is trained by a recipe, got none",
          "Say e.g. --recipe recall-rotary.",
        );
      const shipped = await readRecipe(flags.recipe);
      const recipe: Recipe = flags.seed === undefined ? shipped : { ...shipped, seed: flags.seed };
      const config = { recipe, paths, device, threads, precision: precision ?? ("tf32" as const) };
      const directory = flags.out ?? defaultRunPath([recipe.name]);
      return train(out, { ...common, directory, config });
    }),
  );
}

function badOption(where: string, message: string, fix: string): ParetoError {
  return new ParetoError({ code: "CLI_OPTION", where, message, fix });
}

async function train(out: Output, job: TrainLmOptions): Promise<void> {
  const events: RunEvent[] = [];
  const onEvent = (event: RunEvent) => {
    if (event.event !== "progress") events.push(event);
    out.onEvent(event);
  };
  const result = await interruptible(out, (signal) => trainLm({ ...job, onEvent, signal }));
  const { run, finished, validation, ...facts } = result;
  if (!finished) {
    process.exitCode = 130;
    out.result(`saved; go on with: pareto llm train --resume ${run}`);
    out.json({ event: "done", run, finished });
    return;
  }
  out.result(`${summary(result)}\nmodel   ${result.model}\nrun     ${run}`);
  const report = join(run, "report.html");
  try {
    await writeReport(report, lmReport(result, events));
    out.result(`report  ${report}`);
  } catch (error) {
    // The model is trained and saved; a report that cannot be written is said, and takes nothing back.
    if (!(error instanceof ParetoError)) throw error;
    const message = `${error.message}. ${error.fix}`;
    out.onEvent({ event: "notice", level: "warning", code: error.code, message });
  }
  const { loss, accuracy, groups } = validation!;
  out.json({ event: "done", run, finished, loss, perplexity: Math.exp(loss), accuracy, groups, ...facts });
}

function summary({ validation, ...facts }: TrainLmResult): string {
  const groups = validation!.groups.map(({ name, right, accuracy, loss }) =>
    name === "text"
      ? `text    perplexity ${formatFixed(Math.exp(loss), 3)} a token, ${formatShare(accuracy)} of tokens right`
      : `task    ${name}: ${formatShare(right)} of answers right`,
  );
  return [
    ...groups,
    `network ${formatCount(facts.parameters)} parameters, ${formatCount(facts.vocabulary)} tokens in the vocabulary`,
    `steps   ${formatCount(facts.steps)}; the weights are those after step ${formatCount(facts.bestStep)}, the best on validation`,
    `speed   ${formatRate(facts.tokensPerSecond, "tokens")}, ${formatSeconds(facts.trainSeconds)} of training`,
  ].join("\n");
}
