/**
 * @file The dense training step of DLRM (forward, backward, SGD; no tables) against the matrix products in it, run
 * alone as plain ONNX Runtime MatMuls of the same sizes by the same number of threads.
 *
 * The useful work is what the compiled graph really multiplies: 2·M·N·K for each product, counted on the graph.
 */
import { trace } from "../../src/engine/graph/graph.ts";
import { reachableNodes } from "../../src/engine/graph/rewrite.ts";
import { rootsOf } from "../../src/engine/graph/graph.ts";
import { matmul } from "../../src/engine/graph/ops/contraction.ts";
import { state } from "../../src/engine/graph/ops/leaf.ts";
import { openDevice } from "../../src/engine/openDevice.ts";
import { decomposeComposites } from "../../src/engine/passes/decomposeComposites.ts";
import { simplify } from "../../src/engine/passes/simplify.ts";
import type { Device, Program } from "../../src/engine/program.ts";
import { Rng } from "../../src/base/rng.ts";
import { sizeOf } from "../../src/base/shape.ts";
import { ctrLoss, DenseModel } from "../../src/recsys/models/denseModel.ts";
import { Parameters } from "../../src/nn/parameters.ts";
import { traceStep } from "../../src/nn/training/traceStep.ts";
import { BATCH, cardinalities, DIM, kaggleBatch, model } from "./kaggle.ts";
import type { BenchRow } from "../harness/rows.ts";
import { interleave, median } from "../harness/timing.ts";

/** What a run measured. */
export interface DenseResult {
  bench: "dense";
  threads: number;
  batchSize: number;
  products: number;
  /** Billions of floating-point operations of the products of a step. */
  gigaflopStep: number;
  stepMilliseconds: number;
  productsMilliseconds: number;
  samplesPerSecond: number;
  gigaflopsPerSecond: number;
  /** Of the products alone. */
  limitGigaflopsPerSecond: number;
  ratio: number;
  /** The same over the products of the MLPs only, the small ones of the interaction left out of work and limit. */
  mlpLimitGigaflopsPerSecond: number;
  ratioToMlpLimit: number;
}

/** A product `[batch, M, K] × [batch, K, N]`. */
interface Product {
  batch: number;
  m: number;
  n: number;
  k: number;
}

/** Every matrix product of the training step, as its graph is compiled. */
function productsOfStep(): Product[] {
  const states = { parameters: new Parameters(1), optimizerState: new Parameters(1) };
  const traced = traceStep(ctrLoss(model, { batchSize: BATCH }), { optimizer: { kind: "sgd" } }, states);
  const graph = simplify(decomposeComposites(traced));
  const products: Product[] = [];
  for (const node of reachableNodes(rootsOf(graph))) {
    const [a] = node.inputs;
    if (node.op === "matmul") {
      const [m, n] = node.outputs[0]!.shape.slice(-2) as [number, number];
      const k = a!.shape.at(node.attrs.transposeA ? -2 : -1)!;
      products.push({ batch: sizeOf(node.outputs[0]!.shape.slice(0, -2)), m, n, k });
    } else if (node.op === "dotInteraction" || node.op === "dotInteractionGradient") {
      const [batch, features, dim] = a!.shape as [number, number, number];
      const [n, k] = node.op === "dotInteraction" ? [features, dim] : [dim, features];
      products.push({ batch, m: features, n, k });
    }
  }
  return products;
}

const flop = (products: readonly Product[]) =>
  products.reduce((sum, { batch, m, n, k }) => sum + 2 * batch * m * n * k, 0);

/** A program that computes each product once, from states to states: no copies in or out. */
async function compileProducts(
  device: Device,
  prefix: string,
  products: readonly Product[],
): Promise<Program> {
  const rng = new Rng(3);
  const graph = trace({}, () => ({
    outputs: {},
    updates: products.map(({ batch, m, n, k }, i) => {
      const leading = batch > 1 ? [batch] : [];
      const [a, b] = [
        state(`${prefix}a${i}`, [...leading, m, k]),
        state(`${prefix}b${i}`, [...leading, k, n]),
      ];
      return [state(`${prefix}c${i}`, [...leading, m, n]), matmul(a, b)] as const;
    }),
  }));
  for (const { node, shape, dtype } of graph.states) {
    const values = Float32Array.from({ length: sizeOf(shape) }, () => 2 * rng.uniform() - 1);
    await device.createState((node.attrs as { name: string }).name, { shape, dtype }, values);
  }
  return device.compile(graph);
}

/** Measures. Takes about 10 s. */
export async function benchDense(threads: number, rounds = 8): Promise<DenseResult> {
  const products = productsOfStep();
  const mlpProducts = products.filter(({ batch }) => batch === 1);
  const device = await openDevice("cpu", { threads });
  try {
    const dense = await DenseModel.create(device, model, {
      batchSize: BATCH,
      optimizer: { kind: "sgd" },
      seed: 1,
    });
    const alone = await compileProducts(device, "all.", products);
    const mlpAlone = await compileProducts(device, "mlp.", mlpProducts);
    const rng = new Rng(5);
    const batch = kaggleBatch(rng);
    const shared = () => new Float32Array(new SharedArrayBuffer(4 * BATCH * cardinalities.length * DIM));
    const rows = shared().map(() => 0.1 * (2 * rng.uniform() - 1));
    const gradients = shared();
    const feeds = {
      dense: batch.dense,
      rows,
      labels: batch.labels,
      weights: new Float32Array(BATCH).fill(1),
    };
    let step = 0;
    const [steps, all, mlp] = await interleave(rounds, [
      () => dense.train(feeds, { learningRate: 0.01, step: ++step }, { rowGradients: gradients }),
      () => alone.run({}),
      () => mlpAlone.run({}),
    ]);
    const [stepMilliseconds, productsMilliseconds] = [median(steps!), median(all!)];
    const rate = (work: readonly Product[], milliseconds: number) => flop(work) / milliseconds / 1e6;
    const [own, limit] = [rate(products, stepMilliseconds), rate(products, productsMilliseconds)];
    const mlpLimit = rate(mlpProducts, median(mlp!));
    return {
      bench: "dense",
      threads,
      batchSize: BATCH,
      products: products.length,
      gigaflopStep: flop(products) / 1e9,
      stepMilliseconds,
      productsMilliseconds,
      samplesPerSecond: (1000 * BATCH) / stepMilliseconds,
      gigaflopsPerSecond: own,
      limitGigaflopsPerSecond: limit,
      ratio: own / limit,
      mlpLimitGigaflopsPerSecond: mlpLimit,
      ratioToMlpLimit: rate(mlpProducts, stepMilliseconds) / mlpLimit,
    };
  } finally {
    await device.dispose();
  }
}

/** The lines of the table. */
export function denseRows(result: DenseResult): BenchRow[] {
  const {
    stepMilliseconds: milliseconds,
    gigaflopsPerSecond: own,
    limitGigaflopsPerSecond: limit,
    ratio,
  } = result;
  return [
    {
      case: "dense step",
      size: `DLRM Kaggle, batch ${result.batchSize}, ${result.gigaflopStep.toFixed(2)} GFLOP`,
      milliseconds,
      figure: `${own.toFixed(0)} GFLOP/s`,
      limit: `${limit.toFixed(0)} GFLOP/s, its ${result.products} products alone`,
      ratio,
      target: "≥ 0.60",
      met: ratio >= 0.6,
    },
  ];
}
