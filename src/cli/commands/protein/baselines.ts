/** @file `pareto protein baselines`: what k-mers alone can tell, on the splits that networks are measured on. */
import type { Command } from "commander";
import { ParetoError } from "../../../engine/errors.ts";
import { readFamilies } from "../../../protein/families/families.ts";
import { BASELINE_NAMES, measureBaseline } from "../../../protein/kmer/baselines.ts";
import { split, SPLIT_NAMES, type SplitName } from "../../../protein/splits/split.ts";
import { formatCount, formatFixed, formatSeconds } from "../../../report/format.ts";
import { newCommand, withOutput, type CommonFlags } from "../../command.ts";
import { formatTable, type Output } from "../../output.ts";
import { oneOf, wholeNumber } from "../../values.ts";

interface Flags extends CommonFlags {
  familyFrom: "file" | "header";
  split?: SplitName;
  cap?: number;
  minFamily: number;
  seed: number;
  strict?: true;
}

/** The command. */
export function proteinBaselinesCommand(): Command {
  return newCommand(
    "baselines",
    "Measure k-mer methods on families from FASTA files: what a network has to beat. One thread; nothing is saved.",
  )
    .argument("[source...]", "FASTA files, or folders of them, as for protein train")
    .option(
      "--family-from <what>",
      "file: a file is a family, by its name; header: family=NAME or NAME| in each header",
      oneOf("--family-from", ["file", "header"]),
      "file",
    )
    .option(
      "--split <name>",
      "random, species or cluster (default: all three)",
      oneOf("--split", SPLIT_NAMES),
    )
    .option("--cap <n>", "at most so many sequences of a family (default: all)", wholeNumber("--cap", 1))
    .option(
      "--min-family <n>",
      "leave out families of fewer distinct sequences",
      wholeNumber("--min-family", 1),
      10,
    )
    .option("--seed <n>", "of the draw under --cap, the split and training", wholeNumber("--seed", 0), 1)
    .option("--strict", "test on no sequence whose protein has another sequence in training")
    .action((paths: string[], flags: Flags) => withOutput(flags, (out) => baselines(out, paths, flags)));
}

async function baselines(out: Output, paths: string[], flags: Flags): Promise<void> {
  if (paths.length === 0) {
    throw new ParetoError({
      code: "CLI_SOURCE",
      where: "pareto protein baselines",
      message: "there is nothing to measure on, got no source",
      fix: "Give FASTA files, or a folder with one for each family.",
    });
  }
  const { seed } = flags;
  const { set } = await readFamilies(paths, {
    familyFrom: flags.familyFrom,
    minimum: flags.minFamily,
    ...(flags.cap !== undefined && { cap: flags.cap }),
    seed,
  });
  const rows: string[][] = [];
  const results: Record<string, unknown>[] = [];
  for (const name of flags.split === undefined ? SPLIT_NAMES : [flags.split]) {
    const parts = split(set, name, seed, { strict: flags.strict ?? false });
    const sizes = [parts.train, parts.validation, parts.test].map((part) => part.length);
    if (sizes.includes(0)) {
      throw new ParetoError({
        code: "PROTEIN_EMPTY_PART",
        where: `--split ${name}`,
        message: `a part of the split has no sequences; training, validation and test have ${sizes.join(", ")}`,
        fix: "Give more sequences, or choose another split.",
      });
    }
    for (const baseline of BASELINE_NAMES) {
      out.info(`${name} split: ${baseline}`);
      const { test, seconds, parameters, description } = measureBaseline(baseline, set, parts, seed);
      const { classes: _, confusions: __, ...figures } = test;
      const scores = [test.accuracy, test.macroF1, test.weightedF1].map((score) => formatFixed(score));
      rows.push([name, baseline, ...scores, formatCount(test.rows), formatSeconds(seconds)]);
      results.push({ split: name, baseline, description, ...figures, parameters, seconds });
    }
  }
  out.result(
    `${formatCount(set.families.length)} families, ${formatCount(set.count)} distinct sequences; on the test part of each split\n${formatTable(
      ["split", "method", "accuracy", "macro-F1", "weighted F1", "sequences", "time"],
      rows,
      ["left", "left", "right", "right", "right", "right", "right"],
    )}`,
  );
  out.json({ event: "done", families: set.families.length, sequences: set.count, seed, results });
}
