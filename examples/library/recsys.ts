/**
 * @file `pareto/recsys`: trains DLRM with FAE on a click log.
 * Run: `npx node examples/library/recsys.ts FILE LABEL [TIME_COLUMN]`.
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { trainClicks, type TrainingSettings } from "../../src/recsys/index.ts";

const [file, label, time] = process.argv.slice(2);
if (file === undefined || label === undefined) throw new Error("usage: recsys.ts FILE LABEL [TIME_COLUMN]");
const settings: TrainingSettings = {
  model: "dlrm:dim=16,bottom=(64,32),top=(64,32)",
  strategy: "fae:budget=4MiB",
  hot: "threshold",
  optimizer: "rwsadagrad",
  learningRate: 0.02,
  decay: "linear",
  batchSize: 2048,
  epochs: 1,
  patience: 1,
  seed: 1,
  threads: 2,
  device: "cpu",
};
const work = await mkdtemp(join(tmpdir(), "pareto-example-"));
try {
  const result = await trainClicks({
    directory: join(work, "run"),
    cacheDirectory: join(work, "cache"),
    config: { source: { paths: [file] }, prepare: { label, ...(time && { time }) }, settings },
    onEvent: (event) => {
      if (event.event === "metrics" && event.part === "test") console.log(`steps: ${event.step}`);
    },
  });
  console.log(`test AUC ${result.auc?.toFixed(4)}, log loss ${result.logLoss?.toFixed(4)}`);
  console.log(
    `hot: ${result.hot?.rows} rows, ${((result.hot?.inputShare ?? 0) * 100).toFixed(1)} % of inputs`,
  );
} finally {
  await rm(work, { recursive: true });
}
