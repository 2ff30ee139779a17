/** @file The CUDA C++ that graphs become, as it is. */
import { describe, expect, test } from "vitest";
import { add, less, mul, relu, where } from "../../../../../../src/engine/graph/ops/elementwise.ts";
import { random, scalarLike, state } from "../../../../../../src/engine/graph/ops/leaf.ts";
import { slice, sum, transpose } from "../../../../../../src/engine/graph/ops/movement.ts";
import { mean } from "../../../../../../src/nn/functional.ts";
import { optimizerUpdates } from "../../../../../../src/nn/optimizers.ts";
import { Parameters } from "../../../../../../src/nn/parameters.ts";
import { float32, kernelsOf, onlySource, planOfModel } from "../../../../../support/engine/lowered.ts";

describe("generated source", () => {
  test("of a bias and ReLU takes four elements a thread", () => {
    const plan = planOfModel({ x: float32(64, 256), bias: float32(256) }, ({ x, bias }) => ({
      outputs: { y: relu(add(x, bias)) },
    }));
    expect(onlySource(plan)).toMatchInlineSnapshot(`
      "
      static __device__ __forceinline__ float relu(float x) { return x < 0.0f ? 0.0f : x; }

      extern "C" __global__ void __launch_bounds__(256) fused_add_relu(
          const float* __restrict__ p0,
          const float* __restrict__ p1,
          float* __restrict__ p2) {
        const int block = blockIdx.x;
        const int i0 = (int)block * 256 + threadIdx.x;
        if (i0 < 4096) {
          const float4 q1 = *(const float4*)(p0 + 4 * i0);
          const int i3 = (int)((unsigned)(i0) % 64u);
          const float4 q2 = *(const float4*)(p1 + 4 * i3);
          const float v4x = q1.x + q2.x, v4y = q1.y + q2.y, v4z = q1.z + q2.z, v4w = q1.w + q2.w;
          const float v5x = relu(v4x), v5y = relu(v4y), v5z = relu(v4z), v5w = relu(v4w);
          *(float4*)(p2 + 4 * i0) = make_float4(v5x, v5y, v5z, v5w);
        }
      }
      "
    `);
  });

  test("of a small transposed slice is one read at a computed place", () => {
    const plan = planOfModel({ x: float32(30, 7) }, ({ x }) => ({
      outputs: { y: slice(transpose(x), { 0: [1, 6, 2], 1: [10, 20] }) },
    }));
    expect(onlySource(plan)).toMatchInlineSnapshot(`
      "
      extern "C" __global__ void __launch_bounds__(256) fused_transpose_slice(
          const float* __restrict__ p0,
          float* __restrict__ p1) {
        const int block = blockIdx.x;
        const int i0 = (int)block * 256 + threadIdx.x;
        if (i0 < 30) {
          const int i1 = (int)((unsigned)(i0) % 10u);
          const int i2 = (int)((unsigned)(i0) / 10u);
          const float v3 = p0[7 * i1 + 2 * i2 + 71];
          p1[i0] = v3;
        }
      }
      "
    `);
  });

  test("of dropout draws its numbers from Philox, four at a time", () => {
    const plan = planOfModel({ x: float32(64, 128), key: { shape: [4], dtype: "int32" } }, ({ x, key }) => ({
      outputs: {
        y: where(less(random(key, x.shape), scalarLike(x, 0.9)), mul(x, 1 / 0.9), scalarLike(x, 0)),
      },
    }));
    expect(onlySource(plan)).toMatchInlineSnapshot(`
      "
      static __device__ __forceinline__ uint4 philox(unsigned counter, int low, int high, int stream, int step) {
        unsigned c0 = counter, c1 = 0, c2 = (unsigned)stream, c3 = (unsigned)step, k0 = (unsigned)low, k1 = (unsigned)high;
      #pragma unroll
        for (int round = 0; round < 10; round++) {
          const unsigned long long a = 0xd2511f53ull * c0, b = 0xcd9e8d57ull * c2;
          c0 = (unsigned)(b >> 32) ^ c1 ^ k0;
          c1 = (unsigned)b;
          c2 = (unsigned)(a >> 32) ^ c3 ^ k1;
          c3 = (unsigned)a;
          k0 += 0x9e3779b9u;
          k1 += 0xbb67ae85u;
        }
        return make_uint4(c0, c1, c2, c3);
      }
      static __device__ __forceinline__ float uniform(unsigned word) { return (float)(word >> 8) * 5.9604644775390625e-8f; }
      static __device__ __forceinline__ unsigned word_of(uint4 block, int i) {
        return i == 0 ? block.x : i == 1 ? block.y : i == 2 ? block.z : block.w;
      }

      extern "C" __global__ void __launch_bounds__(256) fused_random_less_mul_where(
          const int* __restrict__ p0,
          const float* __restrict__ p1,
          float* __restrict__ p2) {
        const int block = blockIdx.x;
        const int i0 = (int)block * 256 + threadIdx.x;
        if (i0 < 2048) {
          const int4 q1 = *(const int4*)(p0 + 0);
          const uint4 w2 = philox((unsigned)(i0), q1.x, q1.y, q1.z, q1.w);
          const float v3x = uniform(w2.x), v3y = uniform(w2.y), v3z = uniform(w2.z), v3w = uniform(w2.w);
          const bool v4x = v3x < 0.9f, v4y = v3y < 0.9f, v4z = v3z < 0.9f, v4w = v3w < 0.9f;
          const float4 q5 = *(const float4*)(p1 + 4 * i0);
          const float v6x = q5.x * 1.1111112f, v6y = q5.y * 1.1111112f, v6z = q5.z * 1.1111112f, v6w = q5.w * 1.1111112f;
          const float v7x = v4x ? v6x : 0.0f, v7y = v4y ? v6y : 0.0f, v7z = v4z ? v6z : 0.0f, v7w = v4w ? v6w : 0.0f;
          *(float4*)(p2 + 4 * i0) = make_float4(v7x, v7y, v7z, v7w);
        }
      }
      "
    `);
  });

  test("of the mean of rows walks along them and divides in the same kernel", () => {
    const plan = planOfModel({ x: float32(4096, 512) }, ({ x }) => ({ outputs: { y: mean(mul(x, x), 1) } }));
    expect(onlySource(plan)).toMatchInlineSnapshot(`
      "
      extern "C" __global__ void __launch_bounds__(256) fused_mul_sum_div(
          const float* __restrict__ p0,
          float* __restrict__ p1) {
        const int block = blockIdx.x;
        const int lane0 = threadIdx.x % 32;
        const int row1 = (int)(block) * 8 + threadIdx.x / 32;
        float a2x = 0.0f, a2y = 0.0f, a2z = 0.0f, a2w = 0.0f;
        #pragma unroll 4
        for (int s3 = lane0, end = 128; s3 < end; s3 += 32) {
          const float4 q4 = *(const float4*)(p0 + 512 * row1 + 4 * s3);
          const float v5x = q4.x * q4.x, v5y = q4.y * q4.y, v5z = q4.z * q4.z, v5w = q4.w * q4.w;
          a2x = a2x + v5x;
          a2y = a2y + v5y;
          a2z = a2z + v5z;
          a2w = a2w + v5w;
        }
        float t6 = (a2x + a2y) + (a2z + a2w);
        t6 = t6 + __shfl_xor_sync(0xffffffffu, t6, 16);
        t6 = t6 + __shfl_xor_sync(0xffffffffu, t6, 8);
        t6 = t6 + __shfl_xor_sync(0xffffffffu, t6, 4);
        t6 = t6 + __shfl_xor_sync(0xffffffffu, t6, 2);
        t6 = t6 + __shfl_xor_sync(0xffffffffu, t6, 1);
        if (lane0 == 0) {
          const float v7 = t6 / 512.0f;
          p1[row1] = v7;
        }
      }
      "
    `);
  });

  test("of a sum down the columns splits the rows into parts and adds those up", () => {
    const plan = planOfModel({ x: float32(8192, 256) }, ({ x }) => ({ outputs: { y: sum(x, 0) } }));
    expect(
      kernelsOf(plan)
        .map(({ source, grid }) => `// ${grid[0]} blocks\n${source.code}`)
        .join("\n"),
    ).toMatchInlineSnapshot(`
      "// 512 blocks
      extern "C" __global__ void __launch_bounds__(256) fused_sum(
          const float* __restrict__ p0,
          float* __restrict__ p1) {
        __shared__ __align__(16) unsigned char shared[4096];
        const int block = blockIdx.x;
        const int part0 = block / 2;
        const int y1 = threadIdx.x / 32;
        const int column2 = (int)(block % 2) * 32 + threadIdx.x % 32;
        float a3x = 0.0f, a3y = 0.0f, a3z = 0.0f, a3w = 0.0f;
        #pragma unroll 4
        for (int s4 = 32 * part0 + y1, end = min((int)(32 * part0 + 32), (int)8192); s4 < end; s4 += 8) {
          const float4 q5 = *(const float4*)(p0 + 4 * column2 + 256 * s4);
          a3x = a3x + q5.x;
          a3y = a3y + q5.y;
          a3z = a3z + q5.z;
          a3w = a3w + q5.w;
        }
        float* const tile6 = (float*)shared + threadIdx.x;
        tile6[0] = a3x; tile6[256] = a3y; tile6[512] = a3z; tile6[768] = a3w;
        __syncthreads();
        for (int h7 = 4; h7 > 0; h7 /= 2) {
          if (y1 < h7) {
            tile6[0] = a3x = a3x + tile6[32 * h7];
            tile6[256] = a3y = a3y + tile6[256 + 32 * h7];
            tile6[512] = a3z = a3z + tile6[512 + 32 * h7];
            tile6[768] = a3w = a3w + tile6[768 + 32 * h7];
          }
          __syncthreads();
        }
        if (y1 == 0) {
          *(float4*)(p1 + 4 * column2 + 256 * part0) = make_float4(a3x, a3y, a3z, a3w);
        }
      }

      // 8 blocks
      extern "C" __global__ void __launch_bounds__(256) fused_sum(
          const float* __restrict__ p0,
          float* __restrict__ p1) {
        __shared__ __align__(16) unsigned char shared[4096];
        const int block = blockIdx.x;
        const int y0 = threadIdx.x / 8;
        const int column1 = (int)(block) * 8 + threadIdx.x % 8;
        float a2x = 0.0f, a2y = 0.0f, a2z = 0.0f, a2w = 0.0f;
        #pragma unroll 8
        for (int s3 = y0, end = 256; s3 < end; s3 += 32) {
          const float4 q4 = *(const float4*)(p0 + 4 * column1 + 256 * s3);
          a2x = a2x + q4.x;
          a2y = a2y + q4.y;
          a2z = a2z + q4.z;
          a2w = a2w + q4.w;
        }
        float* const tile5 = (float*)shared + threadIdx.x;
        tile5[0] = a2x; tile5[256] = a2y; tile5[512] = a2z; tile5[768] = a2w;
        __syncthreads();
        for (int h6 = 16; h6 > 0; h6 /= 2) {
          if (y0 < h6) {
            tile5[0] = a2x = a2x + tile5[8 * h6];
            tile5[256] = a2y = a2y + tile5[256 + 8 * h6];
            tile5[512] = a2z = a2z + tile5[512 + 8 * h6];
            tile5[768] = a2w = a2w + tile5[768 + 8 * h6];
          }
          __syncthreads();
        }
        if (y0 == 0) {
          *(float4*)(p1 + 4 * column1) = make_float4(a2x, a2y, a2z, a2w);
        }
      }
      "
    `);
  });

  test("of Adam for two parameters is one launch that updates six states in place", () => {
    const plan = planOfModel(
      { gw: float32(64, 128), gb: float32(128), rate: float32(), step: float32() },
      ({ gw, gb, rate, step }) => {
        const [w, b] = [state("w", [64, 128]), state("b", [128])];
        const adam = { kind: "adam", beta1: 0.9, beta2: 0.999, epsilon: 1e-8 } as const;
        return {
          outputs: {},
          updates: optimizerUpdates(adam, {
            parameters: [w, b],
            gradients: [gw, gb],
            optimizerState: new Parameters(0),
            learningRate: rate,
            step,
          }),
        };
      },
    );
    const updates = kernelsOf(plan)[1];
    expect(plan.steps.length).toBe(2);
    const places = updates!.arguments.flatMap((argument) =>
      argument.kind === "buffer"
        ? [`${argument.access} ${argument.view.buffer.kind} ${argument.view.buffer.name}`]
        : [],
    );
    expect(places.filter((place) => place.startsWith("readWrite")).toSorted()).toEqual(
      ["b", "b/m", "b/v", "w", "w/m", "w/v"].map((name) => `readWrite state ${name}`),
    );
    expect(`\n${updates!.source.code}`).toMatchInlineSnapshot(`
      "
      extern "C" __global__ void __launch_bounds__(256) fused_mul_add_sqrt_div_etc(
          float* __restrict__ p0,
          const float* __restrict__ p1,
          float* __restrict__ p2,
          float* __restrict__ p3,
          const float* __restrict__ p4,
          const float* __restrict__ p5,
          float* __restrict__ p6,
          const float* __restrict__ p7,
          float* __restrict__ p8,
          float* __restrict__ p9) {
        if (blockIdx.x < 8) {
          const int block = blockIdx.x - 0;
          const int i0 = (int)block * 256 + threadIdx.x;
          if (i0 < 2048) {
            const float4 q1 = *(const float4*)(p0 + 4 * i0);
            const float v2x = q1.x * 0.9f, v2y = q1.y * 0.9f, v2z = q1.z * 0.9f, v2w = q1.w * 0.9f;
            const float4 q3 = *(const float4*)(p1 + 4 * i0);
            const float v4x = q3.x * 0.1f, v4y = q3.y * 0.1f, v4z = q3.z * 0.1f, v4w = q3.w * 0.1f;
            const float v5x = v2x + v4x, v5y = v2y + v4y, v5z = v2z + v4z, v5w = v2w + v4w;
            const float4 q6 = *(const float4*)(p2 + 4 * i0);
            const float v7x = q6.x * 0.999f, v7y = q6.y * 0.999f, v7z = q6.z * 0.999f, v7w = q6.w * 0.999f;
            const float v8x = q3.x * q3.x, v8y = q3.y * q3.y, v8z = q3.z * q3.z, v8w = q3.w * q3.w;
            const float v9x = v8x * 0.001f, v9y = v8y * 0.001f, v9z = v8z * 0.001f, v9w = v8w * 0.001f;
            const float v10x = v7x + v9x, v10y = v7y + v9y, v10z = v7z + v9z, v10w = v7w + v9w;
            const float4 q11 = *(const float4*)(p3 + 4 * i0);
            const float v12 = p4[0];
            const float v13x = v5x * v12, v13y = v5y * v12, v13z = v5z * v12, v13w = v5w * v12;
            const float v14x = sqrtf(v10x), v14y = sqrtf(v10y), v14z = sqrtf(v10z), v14w = sqrtf(v10w);
            const float v15 = p5[0];
            const float v16x = v14x / v15, v16y = v14y / v15, v16z = v14z / v15, v16w = v14w / v15;
            const float v17x = v16x + 1e-8f, v17y = v16y + 1e-8f, v17z = v16z + 1e-8f, v17w = v16w + 1e-8f;
            const float v18x = v13x / v17x, v18y = v13y / v17y, v18z = v13z / v17z, v18w = v13w / v17w;
            const float v19x = q11.x - v18x, v19y = q11.y - v18y, v19z = q11.z - v18z, v19w = q11.w - v18w;
            *(float4*)(p0 + 4 * i0) = make_float4(v5x, v5y, v5z, v5w);
            *(float4*)(p2 + 4 * i0) = make_float4(v10x, v10y, v10z, v10w);
            *(float4*)(p3 + 4 * i0) = make_float4(v19x, v19y, v19z, v19w);
          }
          return;
        }
        {
          const int block = blockIdx.x - 8;
          const int i20 = (int)block * 256 + threadIdx.x;
          if (i20 < 128) {
            const float v21 = p6[i20];
            const float v22 = v21 * 0.9f;
            const float v23 = p7[i20];
            const float v24 = v23 * 0.1f;
            const float v25 = v22 + v24;
            const float v26 = p8[i20];
            const float v27 = v26 * 0.999f;
            const float v28 = v23 * v23;
            const float v29 = v28 * 0.001f;
            const float v30 = v27 + v29;
            const float v31 = p9[i20];
            const float v32 = p4[0];
            const float v33 = v25 * v32;
            const float v34 = sqrtf(v30);
            const float v35 = p5[0];
            const float v36 = v34 / v35;
            const float v37 = v36 + 1e-8f;
            const float v38 = v33 / v37;
            const float v39 = v31 - v38;
            p6[i20] = v25;
            p8[i20] = v30;
            p9[i20] = v39;
          }
        }
      }
      "
    `);
  });
});
