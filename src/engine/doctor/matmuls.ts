/** @file Matrix products on a device: one whose result is known exactly, and a large timed chain. */
import { trace } from "../graph/graph.ts";
import { matmul } from "../graph/ops/contraction.ts";
import { state } from "../graph/ops/leaf.ts";
import { openDevice } from "../openDevice.ts";
import { Rng } from "../../base/rng.ts";
import { bestSeconds, check, type Check } from "./check.ts";

const SMALL = 64;
/** Width of the timed products. */
const WIDTH = 1024;
/** Products in a chain: enough that starting a run and fetching its result hardly count. */
const PRODUCTS = 4;
/** Rows of the chain's result that are compared with `reference`. */
const SAMPLED_ROWS = 4;
/** Most difference allowed; results are about 1 in size and pass 4096 rounded additions. */
const TOLERANCE = 1e-4;
const TIMED_MS = 700;

/**
 * Aᵢₖ = i + k times Bₖⱼ = k − j: with S₁ = Σk and S₂ = Σk², element (i, j) is i·S₁ − i·j·n + S₂ − j·S₁, a whole
 * number that float32 holds exactly.
 */
export function exactMatmul(target: string): Promise<Check> {
  return check("exact product", async () => {
    const n = SMALL;
    const spec = { shape: [n, n], dtype: "float32" as const };
    const device = await openDevice(target, { threads: 1 });
    try {
      const program = await device.compile(
        trace({ a: spec, b: spec }, ({ a, b }) => ({ outputs: { c: matmul(a, b) } })),
      );
      const element = (value: (row: number, column: number) => number) =>
        Float32Array.from({ length: n * n }, (_, at) => value(Math.floor(at / n), at % n));
      const { c } = await program.run({ a: element((i, k) => i + k), b: element((k, j) => k - j) });
      const s1 = (n * (n - 1)) / 2;
      const s2 = ((n - 1) * n * (2 * n - 1)) / 6;
      const wrong = element((i, j) => i * s1 - i * j * n + s2 - j * s1).findIndex(
        (want, at) => c![at] !== want,
      );
      return {
        ok: wrong < 0,
        value: wrong < 0 ? "right" : "wrong",
        unit: "",
        detail:
          wrong < 0
            ? `All ${n * n} elements of a ${n}³ product are exact.`
            : `Element ${wrong} of a ${n}³ product is wrong, got ${c![wrong]}.`,
      };
    } finally {
      await device.dispose();
    }
  });
}

/** a·b·b·b·b, 1024 wide: rows of it against `reference`, and its rate. */
export function chainedMatmuls(target: string, threads: number): Promise<Check> {
  return check("matrix product", async () => {
    const rng = new Rng(1);
    const uniform = (scale: number) =>
      Float32Array.from({ length: WIDTH ** 2 }, () => (2 * rng.uniform() - 1) * scale);
    // Variance 3 / WIDTH over 3: each product keeps the size of what it multiplies.
    const [a, b] = [uniform(Math.sqrt(3)), uniform(Math.sqrt(3 / WIDTH))];
    const chain = (rows: number) =>
      trace({}, () => {
        const factor = state("b", [WIDTH, WIDTH]);
        let product = state("a", [rows, WIDTH]);
        for (let i = 0; i < PRODUCTS; i++) product = matmul(product, factor);
        return { outputs: { product } };
      });
    const open = async (name: string, rows: Float32Array) => {
      const device = await openDevice(name, { threads });
      await device.createState("a", { shape: [rows.length / WIDTH, WIDTH], dtype: "float32" }, rows);
      await device.createState("b", { shape: [WIDTH, WIDTH], dtype: "float32" }, b);
      return { device, program: await device.compile(chain(rows.length / WIDTH)) };
    };
    const rowAt = (sample: number) => Math.floor(((WIDTH - 1) * sample) / (SAMPLED_ROWS - 1));
    const samples = Array.from({ length: SAMPLED_ROWS }, (_, s) => rowAt(s));
    const sampled = new Float32Array(SAMPLED_ROWS * WIDTH);
    samples.forEach((row, s) => sampled.set(a.subarray(row * WIDTH, (row + 1) * WIDTH), s * WIDTH));

    const truth = await open("reference", sampled);
    const { product: want } = await truth.program.run({});
    await truth.device.dispose();
    const { device, program } = await open(target, a);
    try {
      const product = new Float32Array(new SharedArrayBuffer(4 * WIDTH * WIDTH));
      const seconds = await bestSeconds(TIMED_MS, () => program.run({}, { product }));
      let error = 0;
      samples.forEach((row, s) => {
        for (let j = 0; j < WIDTH; j++) {
          const difference = Math.abs(product[row * WIDTH + j]! - want![s * WIDTH + j]!);
          // Written so that a NaN counts as an error.
          if (!(difference <= error)) error = difference;
        }
      });
      const rate = (PRODUCTS * 2 * WIDTH ** 3) / seconds / 1e9;
      return {
        ok: error <= TOLERANCE,
        value: Math.round(rate * 10) / 10,
        unit: "GFLOP/s",
        detail: `${PRODUCTS} products of ${WIDTH}³ in float32 on ${threads} threads; ${SAMPLED_ROWS} rows differ from reference by at most ${error.toExponential(1)}.`,
      };
    } finally {
      await device.dispose();
    }
  });
}
