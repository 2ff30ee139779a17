/** @file The worked examples of `docs/howToAdd.md`: each does what the page says. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { command } from "../../../examples/howToAdd/command.ts";
import { fm } from "../../../examples/howToAdd/ctrModel.ts";
import { evenly } from "../../../examples/howToAdd/kvPolicy.ts";
import { mish } from "../../../examples/howToAdd/op.ts";
import { weighClicks } from "../../../examples/howToAdd/strategy.ts";
import { Output } from "../../../src/cli/output.ts";
import { grad, openDevice, sum, trace } from "../../../src/engine/index.ts";
import type { HeadView, KvPolicy } from "../../../src/llm/kv/policy.ts";
import { Parameters } from "../../../src/nn/index.ts";
import type { ClickSchema } from "../../../src/recsys/data/batches/clickBatch.ts";
import { tracePrediction } from "../../../src/recsys/models/denseModel.ts";
import type { BatchPlan } from "../../../src/recsys/strategies/batchPlan.ts";
import type { StrategyContext, TrainingStrategy } from "../../../src/recsys/strategies/strategy.ts";
import { PolicyRegistry } from "../../../src/run/policies/registry.ts";

describe("a CTR model", () => {
  const schema: ClickSchema = {
    label: "label",
    dense: [],
    categorical: ["a", "b", "c"].map((name) => ({ name, encoding: "hash", cardinality: 9, multiHot: false })),
  };

  test("gives the logits of a factorization machine", async () => {
    const model = fm.create(fm.options.parse({ dim: 2 }), schema, null);
    const parameters = new Parameters(1);
    const device = await openDevice("reference");
    try {
      const program = await device.compile(tracePrediction(model, 1, parameters));
      await parameters.create(device);
      // Of each field two floats of an embedding and a first-order weight.
      const rows = Float32Array.of(1, 2, 0.5, 3, -1, 0.25, 0, 4, -1);
      const { logits } = await program.run({ dense: new Float32Array(0), rows });
      // Dot products of the pairs: 3 − 2, 8, −4; first-order weights: 0.5 + 0.25 − 1.
      expect(logits![0]).toBeCloseTo(1 + 8 - 4 - 0.25, 5);
    } finally {
      await device.dispose();
    }
  });
});

describe("a strategy", () => {
  test("yields the plans of the one that it wraps, clicks weighed", async () => {
    const labels = Float32Array.of(1, 0, 1);
    const plan = { parts: [{ store: {}, inputs: { size: 3, labels } }] } as unknown as BatchPlan;
    const inner = {
      name: "inner",
      done: 0,
      next: () => Promise.resolve({ name: "train", count: 1, plans: () => [plan] }),
      completed(batches: number) {
        this.done += batches;
      },
      state() {
        return { done: this.done };
      },
    };
    const setup = weighClicks.create(weighClicks.options.parse({ weight: "3" }), (text) => ({
      name: text,
      needsHostRows: true,
      create: () => Promise.resolve(inner as unknown as TrainingStrategy),
    }));
    expect(setup).toMatchObject({ name: "weigh-clicks", needsHostRows: true });
    const strategy = await setup.create({} as StrategyContext);
    const segment = await strategy.next();
    const plans: BatchPlan[] = [];
    for await (const one of segment!.plans({} as never)) plans.push(one);
    expect([...plans[0]!.parts[0]!.weights!]).toEqual([3, 1, 3]);
    strategy.completed(1);
    expect([strategy.name, strategy.state()]).toEqual(["weigh-clicks", { done: 1 }]);
  });
});

describe("a KV policy", () => {
  const head = (positions: number[], budget: number): HeadView => ({
    layer: 0,
    kvHead: 0,
    length: positions.length,
    positions: Int32Array.from(positions),
    scores: new Float32Array(positions.length),
    promptTokens: positions.length,
    tokensSeen: Math.max(...positions) + 1,
    step: 0,
    budget,
  });

  test("is read from text, keeps tokens at even distances and lets the nearest go", () => {
    const registry = new PolicyRegistry<KvPolicy, { maxNewTokens: number }>("kv.evict", [evenly]);
    const policy = registry.parse("evenly:budget=3", "--kv").create({ maxNewTokens: 8 });
    expect(policy.budget(9)).toBe(3);
    expect(policy.keep(head([8, 7, 6, 5, 4, 3, 2, 1, 0], 3)).map((slot) => 8 - slot)).toEqual([0, 4, 8]);
    expect(policy.evict(head([0, 4, 5, 9], 3))).toBe(2);
  });
});

describe("a command", () => {
  test("counts records", async () => {
    const folder = await mkdtemp(join(tmpdir(), "pareto-example-"));
    try {
      const path = join(folder, "a.fasta");
      await writeFile(path, ">a\nMVLSPADKTN\n>b\nMV\n");
      let text = "";
      const stream = { write: (part: string) => ((text += part), true), isTTY: false, columns: 80 };
      const out = new Output({ json: true, quiet: false, stdout: stream, stderr: stream });
      await command.run(out, { values: { fasta: [path], length: 10 }, isGiven: () => true });
      out.close();
      expect(text).toContain('{"event":"done","records":2,"long":1}');
      expect(text).toContain("2 records, 1 of 10 residues or more");
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });
});

describe("an op", () => {
  test.each(["reference", "cpu"] as const)("has its values and its gradient on %s", async (target) => {
    const x = Float32Array.of(-2, -0.5, 0, 1, 3);
    const value = (at: number) => at * Math.tanh(Math.log1p(Math.exp(at)));
    const device = await openDevice(target);
    try {
      const program = await device.compile(
        trace({ x: { shape: [5], dtype: "float32" } }, ({ x }) => {
          const y = mish(x);
          return { outputs: { y, gradient: grad(sum(y), [x])[0]! } };
        }),
      );
      const { y, gradient } = await program.run({ x });
      for (const [i, at] of x.entries()) {
        expect(y![i]).toBeCloseTo(value(at), 5);
        expect(gradient![i]).toBeCloseTo((value(at + 1e-4) - value(at - 1e-4)) / 2e-4, 3);
      }
    } finally {
      await device.dispose();
    }
  });
});
