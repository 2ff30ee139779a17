/** @file ProFamNet against PyTorch's own layers, on every target: logits, attention, loss and all gradients. */
import { readFileSync } from "node:fs";
import { afterAll, describe, expect, test } from "vitest";
import { grad } from "../../../src/engine/autodiff.ts";
import { trace } from "../../../src/engine/graph/graph.ts";
import type { Tensor } from "../../../src/engine/graph/node.ts";
import { crossEntropy } from "../../../src/engine/graph/ops/composite/crossEntropy.ts";
import { div } from "../../../src/engine/graph/ops/elementwise.ts";
import { sum } from "../../../src/engine/graph/ops/movement.ts";
import type { Device } from "../../../src/engine/program.ts";
import { sizeOf } from "../../../src/base/shape.ts";
import { Parameters } from "../../../src/nn/parameters.ts";
import { profamnet, type ProfamnetWidths } from "../../../src/protein/models/profamnet.ts";
import { devices, tryOpenDevice } from "../../support/engine/devices.ts";
import "../../support/engine/toBeAllclose.ts";
import { tolerance } from "../../support/engine/tolerances.ts";

type Float = "float32" | "float64";

interface Inputs {
  ids: number[];
  lengths: number[];
  labels: number[];
  steps: number;
}

interface Small {
  widths: ProfamnetWidths;
  classes: number;
  cases: (Inputs & {
    weights: Record<string, number[]>;
    logits: number[];
    attention: number[];
    loss: number;
    gradients: Record<string, number[]>;
  })[];
}

interface Full {
  widths: ProfamnetWidths;
  classes: number;
  case: Inputs & {
    parameters: number;
    scales: Record<string, number>;
    logits: number[];
    attention: number[];
    loss: number;
    gradients: Record<string, { places: number[]; values: number[]; sums: [number, number] }>;
  };
}

const read = (name: string): unknown =>
  JSON.parse(readFileSync(new URL(`../../../golden/protein/${name}`, import.meta.url), "utf8"));
const small = read("small.json") as Small;
const full = read("full.json") as Full;

const targets: [name: string, float: Float][] = [
  ["reference", "float64"],
  ...devices.map((name): [string, Float] => [name, "float32"]),
];

/** The network's loss and gradients with its weights as inputs, in any element type. */
async function run(
  device: Device,
  float: Float,
  { widths, classes }: { widths: ProfamnetWidths; classes: number },
  { ids, lengths, labels, steps }: Inputs,
  weights: Record<string, number[] | Float64Array>,
): Promise<Record<string, Float64Array>> {
  const model = profamnet(classes, widths);
  const declared = new Parameters(1);
  const int32 = (...shape: number[]) => ({ shape, dtype: "int32" as const });
  const batch = { ids: int32(lengths.length, steps), lengths: int32(lengths.length) };
  trace(batch, (t) => ({ outputs: { logits: model.apply(declared, t).logits } }));
  expect([...declared.names].sort()).toEqual(Object.keys(weights).sort());
  const specs = Object.fromEntries(
    declared.names.map((name) => [name, { shape: declared.shapeOf(name), dtype: float }]),
  );
  const graph = trace({ ...batch, labels: int32(lengths.length), ...specs }, (t: Record<string, Tensor>) => {
    const given = { get: (name: string) => t[name]! } as unknown as Parameters;
    const { logits, attention } = model.apply(given, { ids: t["ids"]!, lengths: t["lengths"]! });
    const loss = div(sum(crossEntropy(logits, t["labels"]!)), lengths.length);
    const gradients = grad(
      loss,
      declared.names.map((name) => t[name]!),
    );
    const named = declared.names.map((name, i) => [`d ${name}`, gradients[i]!] as const);
    return { outputs: { logits, attention: attention!, loss, ...Object.fromEntries(named) } };
  });
  const program = await device.compile(graph);
  const arrayOf = float === "float64" ? Float64Array : Float32Array;
  const outputs = await program.run({
    ids: Int32Array.from(ids),
    lengths: Int32Array.from(lengths),
    labels: Int32Array.from(labels),
    ...Object.fromEntries(declared.names.map((name) => [name, arrayOf.from(weights[name]!)])),
  });
  await program.dispose();
  return Object.fromEntries(
    Object.entries(outputs).map(([name, values]) => [name, Float64Array.from(values as Float32Array)]),
  );
}

function expectClose(name: string, got: ArrayLike<number>, want: readonly number[], float: Float): void {
  const tensor = (values: ArrayLike<number>) => ({
    shape: [values.length],
    dtype: "float64" as const,
    data: Float64Array.from(values),
  });
  // The fixtures keep 9 digits or more.
  const within = float === "float64" ? { rtol: 1e-8, atol: 1e-9 } : tolerance("chain", "float32");
  expect(tensor(got), name).toBeAllclose(tensor(want), within);
}

test("full width has 450,953 parameters at 73 families", () => {
  expect(full.case.parameters).toBe(450_953);
});

describe.each(targets)("ProFamNet on %s in %s agrees with PyTorch", async (name, float) => {
  const device = await tryOpenDevice(name);
  if ("missing" in device) {
    test.skip(`skipped: ${device.missing}`);
    return;
  }
  afterAll(() => device.dispose());

  test.each(
    small.cases.map((one, i) => ({
      ...one,
      title: `set ${i + 1}, lengths ${one.lengths.join(", ")} of ${one.steps}`,
    })),
  )("small network, $title", async (golden) => {
    const got = await run(device, float, small, golden, golden.weights);
    expectClose("logits", got["logits"]!, golden.logits, float);
    expectClose("attention", got["attention"]!, golden.attention, float);
    expectClose("loss", got["loss"]!, [golden.loss], float);
    for (const [weight, gradient] of Object.entries(golden.gradients)) {
      expectClose(`gradient by ${weight}`, got[`d ${weight}`]!, gradient, float);
    }
  });

  // Float64 at full width would take the reference target minutes.
  test.skipIf(float === "float64")("full width, lengths 1 to 256", async () => {
    const golden = full.case;
    const model = profamnet(full.classes, full.widths);
    const declared = new Parameters(1);
    trace({ ids: { shape: [1, 4], dtype: "int32" }, lengths: { shape: [1], dtype: "int32" } }, (t) => ({
      outputs: model.apply(declared, t) as unknown as Record<string, Tensor>,
    }));
    const weights = Object.fromEntries(
      Object.entries(golden.scales).map(([weight, scale], order) => [
        weight,
        Float64Array.from(
          { length: sizeOf(declared.shapeOf(weight)) },
          (_, i) => scale * Math.sin(i * ((order + 1) * 0.7) + order),
        ),
      ]),
    );
    const got = await run(device, float, full, golden, weights);
    expectClose("logits", got["logits"]!, golden.logits, float);
    expectClose("attention", got["attention"]!, golden.attention, float);
    for (const [weight, { places, values, sums }] of Object.entries(golden.gradients)) {
      const gradient = got[`d ${weight}`]!;
      expectClose(
        `gradient by ${weight}`,
        places.map((place) => gradient[place]!),
        values,
        float,
      );
      const absolute = gradient.reduce((total, x) => total + Math.abs(x), 0);
      expect(Math.abs(absolute - sums[1]) / sums[1], `sum of |gradient| by ${weight}`).toBeLessThan(1e-3);
    }
  });
});
