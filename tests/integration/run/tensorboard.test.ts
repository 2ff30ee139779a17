/** @file TensorBoard's own package reads what a run wrote, over a resume too. Skipped where Python lacks it. */
import { execFile } from "node:child_process";
import { appendFile, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runTraining } from "../../../src/run/runTraining.ts";
import { fakeTask } from "../../support/run/fakeTraining.ts";

const python = (...args: string[]) => promisify(execFile)("python3", args);

const READ = `
import json, sys
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
events = EventAccumulator(sys.argv[1]).Reload()
tags = events.Tags()
text = events.Tensors("config/text_summary")
print(json.dumps({
    "scalars": {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags["scalars"]},
    "text": [t.tensor_proto.string_val[0].decode() for t in text],
}))
`;
const hasTensorBoard = await python("-c", "import tensorboard").then(
  () => true,
  () => false,
);
if (!hasTensorBoard) process.stdout.write("skipped: python3 has no tensorboard (pip install tensorboard)\n");

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-tensorboard-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

test.skipIf(!hasTensorBoard)(
  "scalars by tag and step, the configuration as text, nothing twice",
  async () => {
    const directory = join(root, "run");
    const config = {
      data: { paths: ["a"] },
      settings: { learningRate: 0.1, threads: 2, device: "cpu" as const },
    };
    const lossAt = (step: number) => 0.5 + 1 / step;
    const onAsk = (step: number) => {
      if (step === 9) throw new Error("the machine was lost");
    };
    const options = { lossAt, plan: { curveSteps: 1 } };
    const lost = fakeTask({ options: { ...options, onAsk } });
    // The checkpoint is that of step 5: steps 6 and 7 are done again.
    await expect(runTraining(lost, { directory, config })).rejects.toThrow("lost");
    const first = (await readdir(directory)).find((name) => name.includes("tfevents"));
    // As a process leaves it that is killed while it writes.
    await appendFile(join(directory, first!), Buffer.from([24, 0, 0, 0]));
    await runTraining(fakeTask({ options }), { directory, resume: {} });

    const { stdout } = await python("-c", READ, directory);
    const { scalars, text } = JSON.parse(stdout) as {
      scalars: Record<string, [number, number][]>;
      text: string[];
    };
    expect(Object.keys(scalars).sort()).toEqual([
      "run/epoch",
      "run/train_seconds",
      "test/log_loss",
      "train/learning_rate",
      "train/log_loss",
      "validation/log_loss",
    ]);
    const steps = Array.from({ length: 15 }, (_, i) => i + 1);
    expect(scalars["train/log_loss"]!.map(([step]) => step)).toEqual(steps);
    for (const [step, loss] of scalars["train/log_loss"]!) expect(loss).toBeCloseTo(lossAt(step), 6);
    expect(scalars["validation/log_loss"]!.map(([step]) => step)).toEqual([5, 10, 15]);
    expect(text[0]).toContain('"learningRate": 0.1');
  },
);
