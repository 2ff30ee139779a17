/** @file The tour's stop at FAE: a DLRM on a made click log, with and without hot embedding rows. */
import { z } from "zod";
import { formatBytes, formatCount, formatFixed, formatShare } from "../../base/format.ts";
import type { StopResult, TourContext, TourStop } from "./tourStop.ts";

const ROWS = 400_000;
/** Less than half of the rows, each of 16 floats and two moments of Adam; a log as small as this one is profiled whole. */
const STRATEGY = "fae:budget=12MiB,sample=100%";

const log = z.object({ bayesLastFifth: z.object({ auc: z.number() }) });
const trained = z.object({ auc: z.number(), tableBytes: z.number() });
const trainedHot = trained.extend({ hot: z.object({ bytes: z.number(), inputShare: z.number() }) });
const profile = z.object({
  inputShare: z.array(z.object({ budgetBytes: z.number(), inputShare: z.number() })),
});

async function run({ path, run }: TourContext): Promise<StopResult> {
  const clicks = path("fae", "clicks.parquet");
  const made = log.parse(
    await run("recsys", "synth", "--rows", String(ROWS), "--overwrite", "--out", clicks),
  );
  const options = [clicks, "--label", "label", "--time", "time", "--cache", path("fae", "cache")];
  const training = [...options, "--lr", "0.002", "--batch-size", "2048"];
  const baseline = trained.parse(await run("recsys", "train", ...training, "--out", path("fae", "baseline")));
  const fae = ["--strategy", STRATEGY];
  const hot = trainedHot.parse(
    await run("recsys", "train", ...training, ...fae, "--out", path("fae", "fae")),
  );
  const { inputShare } = profile.parse(await run("recsys", "profile", ...options, ...fae));
  return {
    against: `the same DLRM without FAE, on ${formatCount(ROWS)} made clicks`,
    quality: {
      what: `AUC (best possible ${formatFixed(made.bayesLastFifth.auc)})`,
      before: formatFixed(baseline.auc),
      after: formatFixed(hot.auc),
    },
    cost: {
      what: "bytes of embedding rows that hot batches need",
      before: formatBytes(baseline.tableBytes),
      after: formatBytes(hot.hot.bytes),
    },
    sentence: `Trained ${formatShare(hot.hot.inputShare)} of the inputs from hot rows alone; its gain in time needs a GPU, whose memory those rows fit.`,
    figure: {
      id: "fae",
      title: "Inputs whose rows are all hot, by memory for hot rows",
      alt: "The share of inputs rises steeply with the first bytes",
      chart: {
        kind: "lines",
        x: { label: "Memory for hot rows", scale: "log", base: 2, format: formatBytes },
        y: { label: "Hot inputs", domain: [0, 1], format: (share) => formatShare(share, 0) },
        series: [
          {
            name: "hot inputs",
            color: "series-0",
            mark: "dots",
            points: inputShare.map((point) => ({ x: point.budgetBytes, y: point.inputShare })),
          },
        ],
      },
    },
    links: ["fae/baseline/report.html", "fae/fae/report.html"],
  };
}

/** The stop. */
export const fae: TourStop = {
  name: "fae",
  system: "FAE",
  topic: "hot embedding rows of a recommender",
  run,
};
