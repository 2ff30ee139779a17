/**
 * @file The golden traces of six prompt tokens and four decoded ones (k = 4, w = 2, made by float64 NumPy scripts) by the
 * kernels: queries and keys are such that their products are the traces' logits. And the noise that kernels draw.
 * Skipped without a GPU.
 */
import { describe, expect, it, test } from "vitest";
import { argument, type CudaDevice, cuSource } from "../../../src/engine/targets/cuda/index.ts";
import { h2o, keyformer, type KvPolicy, snapkv, tova } from "../../../src/llm/index.ts";
import { gumbelOfWord, PairNoise } from "../../../src/llm/kv/noise.ts";
import { traceLogit } from "../../support/llm/driveCache.ts";
import { tryOpenDevice } from "../../support/engine/devices.ts";
import { KvDevice } from "../../support/llm/kvDevice.ts";
import { runOnDevice } from "../../support/llm/kvDeviceSequence.ts";
import { type ProjectionOf, type TextState } from "../../support/llm/kvSequences.ts";
import { attentionConfig } from "../../support/llm/attentionConfig.ts";

const opened = await tryOpenDevice("cuda");

/** More than the traces' ten tokens. */
const HEAD_DIM = 16;
const EVENTS = [{ read: 6 }, { steps: 4 }];

/** Keys are unit vectors and queries the rows of logits. */
const traceProjections: ProjectionOf = (_layer, first, tokens) => {
  const q = new Float32Array(tokens * HEAD_DIM);
  const k = new Float32Array(tokens * HEAD_DIM);
  for (let row = 0; row < tokens; row++) {
    k[row * HEAD_DIM + first + row] = 1;
    for (let key = 0; key <= first + row; key++) q[row * HEAD_DIM + key] = traceLogit(0, 0, first + row, key);
  }
  return { q, k, v: k };
};

const BUDGET = { count: 4 };
const RECENT = { count: 2 };
const kept = (states: TextState[]) => states.map(({ entries }) => entries![0]![0]!.positions);

const sameSets = [
  [0, 1, 4, 5],
  [0, 1, 5, 6],
  [0, 5, 6, 7],
  [0, 5, 7, 8],
  [0, 5, 8, 9],
];

if ("missing" in opened) {
  test.skip(`skipped: ${opened.missing}`);
} else {
  const device = opened as CudaDevice;

  const trace = (policy: KvPolicy) =>
    runOnDevice(
      device,
      {
        config: attentionConfig({
          layers: 1,
          heads: 1,
          kvHeads: 1,
          headDim: HEAD_DIM,
          rotary: null,
          attentionScale: () => 1,
        }),
        dtype: "float32",
        policy,
        seed: 1234,
        stream: 0,
      },
      EVENTS,
      traceProjections,
    );

  function expectScores(states: TextState[], expected: readonly (readonly number[])[]): void {
    for (const [step, scores] of expected.entries()) {
      const own = states[step]!.entries![0]![0]!.scores;
      expect(own.length).toBe(scores.length);
      for (const [i, score] of scores.entries()) expect(Math.abs(own[i]! - score)).toBeLessThan(1e-5);
    }
  }

  describe("golden traces by kernels", () => {
    const common = { budget: BUDGET, recent: RECENT, horizon: 4 };
    it("F1: Keyformer without noise", async () => {
      const states = await trace(keyformer({ ...common, noise: "none" }));
      expect(kept(states)).toEqual(sameSets);
      expectScores(states, [
        [2.93526, 1.439592, 0.074428, 0.299852],
        [2.964899, 1.457932, 1.224212, 0.023315],
        [3.047838, 1.663332, 0.248767, 0.184584],
        [3.12013, 2.374163, 0.256877, 0.072292],
        [3.288724, 2.880646, 0.179792, 0.124897],
      ]);
    });
    it("F2: Keyformer with Gumbel noise of seed 1234", async () => {
      const states = await trace(keyformer(common));
      expect(kept(states)).toEqual(sameSets);
      expectScores(states, [
        [2.917066, 1.187932, 0.524695, 0.48342],
        [3.097203, 1.205244, 1.248646, 0.03567],
        [3.129294, 1.77772, 0.29518, 0.16133],
        [3.237206, 2.56578, 0.203174, 0.03086],
        [3.6852, 2.831055, 0.062618, 0.136801],
      ]);
    });
    it("F3: the authors' masks", async () => {
      const states = await trace(keyformer({ ...common, noise: "none", mode: "reference-mask" }));
      expect(kept(states)).toEqual([
        [0, 1, 5],
        [0, 1, 6],
        [0, 1, 7],
        [0, 1, 8],
        [0, 1, 9],
      ]);
    });
    it("F4: H2O", async () => {
      const states = await trace(h2o({ budget: BUDGET, recent: RECENT }));
      expect(kept(states)).toEqual(sameSets);
      expectScores(states.slice(1), [
        [2.948404, 1.446805, 1.268565, 0.009737],
        [2.994433, 1.829321, 0.216028, 0.152824],
        [3.011499, 2.76106, 0.169889, 0.017065],
        [3.100139, 3.561037, 0.053104, 0.048647],
      ]);
    });
    it("F5: TOVA, the older of tied tokens first", async () => {
      expect(kept(await trace(tova({ budget: BUDGET })))).toEqual([
        [1, 2, 3, 5],
        [1, 2, 5, 6],
        [1, 5, 6, 7],
        [1, 5, 6, 7],
        [1, 5, 7, 9],
      ]);
    });
    it("F6: SnapKV", async () => {
      const states = await trace(snapkv({ budget: BUDGET, recent: RECENT, pool: 1 }));
      expect(kept(states)).toEqual([
        [1, 2, 4, 5],
        [1, 2, 5, 6],
        [1, 2, 6, 7],
        [1, 2, 7, 8],
        [1, 2, 8, 9],
      ]);
      expectScores(states.slice(0, 1), [[0.468507, 0.685141, 0, 0]]);
    });
  });

  describe("noise by kernels", () => {
    const macros = { ELEMENT: "float", D: 1, KV_HEADS: 1, GROUP: 1, THREADS: 256 };
    const base = cuSource("kvNoise.cuh", "", macros).code;
    const draws = 10_000_000;
    const drawNoise = {
      name: "drawNoise",
      code: `${base}
extern "C" __global__ void drawNoise(float* out, int count) {
  int i = blockIdx.x * 256 + threadIdx.x;
  if (i < count) out[i] = Noise{NOISE_GUMBEL, 77u, 0u, 3u, 2u << 16 | 5u, ~0u}.sample(i / 4096, i % 4096);
}`,
    };
    const noiseOfWords = {
      name: "noiseOfWords",
      code: `${base}
extern "C" __global__ void noiseOfWords(const unsigned* words, float* out, int count) {
  if ((int)threadIdx.x < count) out[threadIdx.x] = gumbelOfWord(words[threadIdx.x]);
}`,
    };

    async function drawn(count: number): Promise<Float32Array> {
      const memory = new KvDevice(device);
      try {
        const out = memory.zeros(4 * count);
        await memory.launch({
          label: "draws",
          source: drawNoise,
          grid: [Math.ceil(count / 256), 1, 1],
          block: [256, 1, 1],
          arguments: [argument.write(out, 4 * count), argument.int32(count)],
        });
        return memory.read(new Float32Array(count), out);
      } finally {
        memory.free();
      }
    }

    it("is that of the host", async () => {
      const noise = new PairNoise({ seed: 77, stream: 3 }, 2);
      const actual = await drawn(20_000);
      const worst = actual.reduce(
        (most, x, i) =>
          Math.max(most, Math.abs(x - noise.sample("gumbel", 5, Math.floor(i / 4096), i % 4096))),
        0,
      );
      expect(worst).toBeLessThan(4e-6);
    });

    it("is right at the edges of the uniform", async () => {
      const words = new Uint32Array([0, 0x8000_0000, 0xffff_ffff, 0x1ff, 0x200, 0xffff_fe00, 0x7fff_ffff]);
      const memory = new KvDevice(device);
      const out = memory.zeros(4 * words.length);
      await memory.launch({
        label: "edges",
        source: noiseOfWords,
        grid: [1, 1, 1],
        block: [32, 1, 1],
        arguments: [
          argument.read(memory.upload(words), words.byteLength),
          argument.write(out, words.byteLength),
          argument.int32(words.length),
        ],
      });
      const actual = memory.read(new Float32Array(words.length), out);
      memory.free();
      expect(actual[0]).toBeCloseTo(-2.81154, 5);
      expect(actual[1]).toBeCloseTo(0.366513, 5);
      expect(actual[2]).toBeCloseTo(16.635532, 5);
      for (const [i, word] of words.entries()) expect(actual[i]).toBeCloseTo(gumbelOfWord(word), 5);
    });

    it("has the moments, the tail and the distribution of Gumbel(0, 1) over ten million draws", async () => {
      const values = await drawn(draws);
      let sum = 0;
      let squares = 0;
      let tail = 0;
      for (const x of values) {
        sum += x;
        squares += x * x;
        if (x > 10) tail++;
      }
      const mean = sum / draws;
      expect(Math.abs(mean - 0.5772157)).toBeLessThan(0.002);
      expect(Math.abs(squares / draws - mean * mean - 1.644934)).toBeLessThan(0.005);
      // P(g > 10) is 4.54e-5; three deviations of its count are 14 %.
      expect(Math.abs(tail / draws / 4.5399e-5 - 1)).toBeLessThan(0.15);
      // Kolmogorov and Smirnov: 1.95 / √n is exceeded once in a thousand.
      values.sort();
      let gap = 0;
      for (let i = 0; i < draws; i++)
        gap = Math.max(gap, Math.abs(Math.exp(-Math.exp(-values[i]!)) - i / draws));
      expect(gap).toBeLessThan(1.95 / Math.sqrt(draws));
    });
  });
}
