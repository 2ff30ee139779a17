/** @file `pareto llm train`: from a recipe to a trained language model, as a folder that every command on models opens. */
import { ParetoError } from "../../../base/errors.ts";
import { readRecipe, type Recipe } from "../../../llm/training/recipe.ts";
import type { TrainLmResult } from "../../../llm/training/lmResult.ts";
import { trainLm, type TrainLmOptions } from "../../../llm/training/trainLm.ts";
import { formatCount, formatFixed, formatRate, formatSeconds, formatShare } from "../../../base/format.ts";
import { defaultRunPath } from "../../../run/runFolder.ts";
import { wholeNumber } from "../../../base/optionSchemas.ts";
import { defineCommand } from "../../command.ts";
import { computeOptions, precision, precisionMeaning } from "../../options/compute.ts";
import { inGroup, operand, option, pathList, text } from "../../options/spec.ts";
import { timeLimit, trainingRunOptions } from "../../options/trainingRun.ts";
import { interruptible } from "../../interrupt.ts";
import { reportRun } from "../../runReport.ts";
import { keptWeights, monitorOf, monitorOption } from "../../options/monitor.ts";
import type { Output } from "../../output.ts";

const operands = {
  text: operand("text", pathList, {
    meaning: "Text files, for a recipe that learns from text",
    rest: true,
    defaultText: "none",
  }),
};
const options = {
  ...inGroup("Run:", {
    recipe: option("recipe", text, {
      meaning:
        "Recipe that ships with Pareto (recall-rotary, recall-alibi, recall-learned, shakespeare), or a JSON file",
      defaultText: "none; a new run needs one",
    }),
    ...trainingRunOptions("runs/DATE-TIME-NAME", "threads, device and precision"),
    seed: option("n", wholeNumber({ min: 0, max: 0xffffffff }), {
      meaning: "Seed of weights, texts and dropout",
      defaultText: "the recipe's",
    }),
    monitor: monitorOption(["logloss", "accuracy"]),
  }),
  ...inGroup("Device:", {
    ...computeOptions,
    precision: option("name", precision, {
      meaning: `${precisionMeaning}; attention multiplies in bfloat16`,
      defaultText: "tf32",
    }),
  }),
};

/** The command. */
export const command = defineCommand({
  summary: "Train a language model from scratch by a recipe: on synthetic tasks of recall, or on text files.",
  operands,
  options,
  async run(out, { values, isGiven }) {
    const { device, threads, precision, text: paths = [] } = values;
    // A resumed run may be one of a GPU.
    const isOnGpu = device === "cuda" || (values.resume !== undefined && !isGiven("device"));
    if (precision !== undefined && !isOnGpu)
      throw badOption("--precision", `only a GPU has a choice, got --device ${device}`, "Add --device cuda.");
    const common = timeLimit(values);
    if (values.resume !== undefined) {
      const other = (["recipe", "seed", "out"] as const).find((name) => isGiven(name));
      if (other !== undefined || paths.length > 0)
        throw badOption(
          "--resume",
          `a resumed run keeps its recipe, texts and folder, got ${other === undefined ? paths[0] : `--${other}`}`,
          "Give --resume alone, with --threads, --device, --precision or --max-minutes.",
        );
      const resume = {
        ...(isGiven("monitor") && { monitor: monitorOf(values.monitor) }),
        ...(isGiven("device") && { device }),
        ...(isGiven("threads") && { threads }),
        ...(precision !== undefined && { precision }),
      };
      return train(out, { ...common, directory: values.resume, resume });
    }
    if (values.recipe === undefined)
      throw badOption(
        "--recipe",
        "a model is trained by a recipe, got none",
        "Give one, e.g. --recipe recall-rotary.",
      );
    const shipped = await readRecipe(values.recipe);
    const recipe: Recipe = values.seed === undefined ? shipped : { ...shipped, seed: values.seed };
    const directory = values.out ?? defaultRunPath([recipe.name]);
    const monitor = monitorOf(values.monitor);
    const config = { recipe, paths, monitor, device, threads, precision: precision ?? ("tf32" as const) };
    return train(out, { ...common, directory, config });
  },
});

function badOption(where: string, message: string, fix: string): ParetoError {
  return new ParetoError({ code: "CLI_OPTION", where, message, fix });
}

async function train(out: Output, job: TrainLmOptions): Promise<void> {
  const result = await interruptible(out, (signal, onEvent) => trainLm({ ...job, onEvent, signal }));
  const { run, finished, validation, ...facts } = result;
  if (!finished) {
    process.exitCode = 130;
    out.result(`saved; go on with: pareto llm train --resume ${run}`);
    out.json({ event: "done", run, finished });
    return;
  }
  out.result(`${summary(result)}\nmodel   ${result.model}\nrun     ${run}`);
  await reportRun(out, run);
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
    `steps   ${formatCount(facts.steps)}; ${keptWeights("step", facts.bestStep, facts.monitor)}`,
    `speed   ${formatRate(facts.tokensPerSecond, "tokens")}, ${formatSeconds(facts.trainSeconds)} of training`,
  ].join("\n");
}
