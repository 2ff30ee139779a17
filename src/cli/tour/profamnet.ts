/**
 * @file The tour's stop at ProFamNet: trained beside classifiers that count k-mers, on made families of two kinds, one on
 * which it is ahead and one on which it is behind; and the model that comes with Pareto on whole proteins that biologists
 * know.
 */
import { join } from "node:path";
import { z } from "zod";
import { readText } from "../../base/files.ts";
import { formatBytes, formatCount, formatFixed } from "../../base/format.ts";
import { DEFAULT_MODEL_PATH } from "../../protein/savedModel.ts";
import { familyOfHeader } from "../../protein/families/familyOfHeader.ts";
import { writeMadeFamilies } from "./madeFamilies.ts";
import type { StopResult, TourContext, TourStop } from "./tourStop.ts";

/** Many distant relatives, on which the network is ahead of 3-mers. */
const DISTANT = { families: 12, members: 300, relatives: "distant", seed: 1 } as const;
/** Few, closer relatives, on which it is behind (`docs/log.md` has further settings). */
const CLOSE = { families: 24, members: 60, relatives: "close", seed: 1 } as const;
/** Weights of the network `larger` for 73 families, of the size that the publication compares its own with. */
const LARGER_BYTES = 4 * 4_578_453;
/**
 * Whole proteins: `family=` in their headers is `none` for a family that is not among the model's. The sequences are those
 * of well-known proteins, but have not been compared with the entries of a database.
 */
const PROTEINS = join(DEFAULT_MODEL_PATH, "examples.fasta");

const tested = z.object({ macroF1: z.number() });
const trained = tested.extend({ weightBytes: z.number() });

async function run({ path, run }: TourContext): Promise<StopResult> {
  const distant = path("profamnet", "families");
  const close = path("profamnet", "closeFamilies");
  await writeMadeFamilies(distant, DISTANT);
  await writeMadeFamilies(close, CLOSE);
  const count = async (model: string, families: string, name: string) => {
    const args = ["--model", model, "--out", path("profamnet", name)];
    return tested.parse(await run("protein", "train", families, ...args)).macroF1;
  };
  const train = async (families: string, epochs: number, name: string) => {
    const schedule = ["--epochs", String(epochs), "--length", "144"];
    return trained.parse(
      await run("protein", "train", families, ...schedule, "--out", path("profamnet", name)),
    );
  };
  const nearest = await count("nearest-containment", distant, "nearest-containment");
  const logistic = await count("logistic", distant, "logistic");
  const { macroF1, weightBytes } = await train(distant, 10, "profamnet");
  const closeLogistic = await count("logistic", close, "closeLogistic");
  const { macroF1: closeF1 } = await train(close, 12, "closeProfamnet");
  const [right, proteins] = await classifyProteins(path("profamnet", "proteins.tsv"), run);
  const bar = (name: string, value: number, color: "series-0" | "series-1" | "series-2") => ({
    name,
    value,
    text: formatFixed(value),
    color,
  });
  return {
    against: `logistic regression on 3-mers, on ${DISTANT.families} made families of ${DISTANT.members} distant relatives; in size, a network as large as the publication's rival`,
    quality: { what: "macro-F1", before: formatFixed(logistic), after: formatFixed(macroF1) },
    cost: {
      what: "bytes of weights",
      before: formatBytes(LARGER_BYTES),
      after: formatBytes(weightBytes),
    },
    sentence: `Learned families from ${formatCount(DISTANT.families * DISTANT.members)} sequences. On ${CLOSE.families} families of ${CLOSE.members} closer relatives it came to ${formatFixed(closeF1)} where the 3-mers came to ${formatFixed(closeLogistic)}. The model that comes with Pareto is right about ${right} of ${proteins} well-known proteins, of a family that it knows or of none.`,
    figure: {
      id: "profamnet",
      title: "Macro-F1 on the test sequences of the made families",
      alt: "A bar for each classifier and kind of families",
      chart: {
        kind: "bars",
        x: { label: "macro-F1", domain: [0, 1] },
        bars: [
          bar("distant: 4-mers", nearest, "series-2"),
          bar("distant: 3-mers", logistic, "series-1"),
          bar("distant: ProFamNet", macroF1, "series-0"),
          bar("close: 3-mers", closeLogistic, "series-1"),
          bar("close: ProFamNet", closeF1, "series-0"),
        ],
      },
    },
    links: [
      "profamnet/profamnet/report.html",
      "profamnet/closeProfamnet/report.html",
      "profamnet/proteins.tsv",
    ],
  };
}

/** How many of the proteins the model that comes with Pareto is right about, and of how many. */
async function classifyProteins(
  table: string,
  run: TourContext["run"],
): Promise<[right: number, proteins: number]> {
  await run("protein", "classify", PROTEINS, "--format", "tsv", "--no-header", "--out", table);
  const wanted = new Map<string, string | null>();
  for (const [, id, rest] of (await readText(PROTEINS)).matchAll(/^>(\S+) (.*)$/gm))
    wanted.set(id!, familyOfHeader(id!, rest!));
  const rows = (await readText(table))
    .trimEnd()
    .split("\n")
    .map((line) => line.split("\t"));
  const right = rows.filter(([id, , , family]) => {
    const truth = wanted.get(id!)!;
    return family === (truth === "none" ? "unknown" : truth);
  });
  return [right.length, wanted.size];
}

/** The stop. */
export const profamnet: TourStop = {
  name: "profamnet",
  system: "ProFamNet",
  topic: "families of proteins by a small network",
  run,
};
