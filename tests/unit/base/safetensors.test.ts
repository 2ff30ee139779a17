/** @file Safetensors: round trips, a file by the format's own package, hostile and damaged files. */
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { SafetensorsFile, SafetensorsWriter } from "../../../src/base/safetensors.ts";
import { allocate, type DType } from "../../../src/base/dtype.ts";
import { encodeHalf } from "../../../src/base/half.ts";
import { sizeOf } from "../../../src/base/shape.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pareto-safetensors-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

/** A file of this header (text or JSON) and so many bytes of data; returns its path. */
async function fileOf(header: unknown, dataBytes: number, length?: bigint): Promise<string> {
  const json = Buffer.from(typeof header === "string" ? header : JSON.stringify(header));
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(length ?? BigInt(json.length));
  const path = join(folder, "hostile.safetensors");
  await writeFile(path, Buffer.concat([size, json, Buffer.alloc(dataBytes)]));
  return path;
}

const f32 = (shape: unknown, start: unknown, end: unknown) => ({
  dtype: "F32",
  shape,
  data_offsets: [start, end],
});

test("a file written by Hugging Face's package reads as it was meant", async () => {
  const path = fileURLToPath(new URL("../../../golden/safetensors/tensors.safetensors", import.meta.url));
  const file = await SafetensorsFile.open(path);
  expect(file.metadata).toEqual({ "made by": "safetensors 0.8.0", note: "äß" });
  const weights = Float32Array.from({ length: 12 }, (_, i) => i / 8 - 0.5);
  expect(await file.read("weights")).toEqual(weights);
  expect(await file.read("weights", 5, 6)).toEqual(weights.subarray(5, 11));
  expect(await file.read("précis")).toEqual(Float64Array.of(Math.PI, -Math.E, 1e-300));
  expect(await file.read("ids")).toEqual(Int32Array.of(-(2 ** 31), 2 ** 31 - 1, 0, 7));
  expect(await file.read("mask")).toEqual(Uint8Array.of(1, 0, 1));
  expect(await file.read("scalar")).toEqual(Float32Array.of(2.5));
  const values = [1, -1 / 3, 65504, 1e-7, Infinity];
  for (const dtype of ["float16", "bfloat16"] as const) {
    expect(file.tensors.get(dtype)).toMatchObject({ dtype, shape: [5] });
    expect(await file.read(dtype)).toEqual(encodeHalf(dtype, Float32Array.from(values)));
  }
  expect(await file.read("empty")).toEqual(new Float32Array(0));
  expect(file.tensors.get("empty")).toMatchObject({ dtype: "float32", shape: [0, 5] });
  await file.close();
});

const declaration = fc.record({
  name: fc
    .string({ minLength: 1, maxLength: 12 })
    .filter((name) => name !== "__metadata__" && name !== "__proto__"),
  dtype: fc.constantFrom<DType>("float32", "float64", "float16", "bfloat16", "int32", "bool"),
  shape: fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 3 }),
});

test("whatever is written in pieces reads back the same, in parts too", async () => {
  const declarations = fc.uniqueArray(declaration, { selector: (d) => d.name, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(declarations, fc.integer({ min: 1, max: 9 }), async (tensors, piece) => {
      const path = join(folder, "round.safetensors");
      const writer = await SafetensorsWriter.create(path, tensors, { a: "b" });
      const values = tensors.map(({ dtype, shape }, t) => {
        const array = allocate(dtype, sizeOf(shape));
        return array.map((_, i) => (dtype === "bool" ? (i + t) % 2 : i * 3 - t));
      });
      for (const [t, array] of values.entries()) {
        for (let at = 0; at < array.length; at += piece) {
          await writer.write(tensors[t]!.name, array.subarray(at, at + piece));
        }
      }
      await writer.finish();
      const file = await SafetensorsFile.open(path);
      expect(file.metadata).toEqual({ a: "b" });
      expect(new Set(file.tensors.keys())).toEqual(new Set(tensors.map((t) => t.name)));
      for (const [t, { name, shape }] of tensors.entries()) {
        expect(await file.read(name)).toEqual(values[t]);
        const half = Math.floor(sizeOf(shape) / 2);
        expect(await file.read(name, half)).toEqual(values[t]!.subarray(half));
        expect(await file.read(name, 0, half)).toEqual(values[t]!.subarray(0, half));
      }
      await file.close();
    }),
    { numRuns: 40 },
  );
});

test("arrays on shared memory can be written", async () => {
  const path = join(folder, "shared.safetensors");
  const shared = new Float32Array(new SharedArrayBuffer(16)).fill(1.5);
  const writer = await SafetensorsWriter.create(path, [{ name: "x", dtype: "float32", shape: [4] }]);
  await writer.write("x", shared);
  await writer.finish();
  const file = await SafetensorsFile.open(path);
  expect(await file.read("x")).toEqual(new Float32Array(4).fill(1.5));
  await file.close();
});

test("a file has no name before it is finished, and leaves nothing when given up", async () => {
  const own = await mkdtemp(join(folder, "abort-"));
  const path = join(own, "x.safetensors");
  await writeFile(path, "old");
  const writer = await SafetensorsWriter.create(path, [{ name: "x", dtype: "float32", shape: [2] }]);
  await writer.write("x", Float32Array.of(1));
  expect(await readFile(path, "utf8")).toBe("old");
  await expect(writer.finish()).rejects.toThrow("not complete");
  await writer.abort();
  expect(await readdir(own)).toEqual(["x.safetensors"]);
  expect(await readFile(path, "utf8")).toBe("old");
});

test("elements out of turn, of another type or too many are refused", async () => {
  const path = join(folder, "turn.safetensors");
  const tensors = ["a", "b"].map((name) => ({ name, dtype: "float32" as const, shape: [2] }));
  const writer = await SafetensorsWriter.create(path, tensors);
  await expect(writer.write("b", Float32Array.of(1))).rejects.toThrow('"a" are due');
  await expect(writer.write("a", Int32Array.of(1))).rejects.toThrow("float32");
  await expect(writer.write("a", Float32Array.of(1, 2, 3))).rejects.toThrow("8 bytes");
  await writer.abort();
});

const hostile: [what: string, code: string, make: () => Promise<string>][] = [
  [
    "shorter than 8 bytes",
    "SAFETENSORS_DAMAGED",
    async () => (await writeFile(join(folder, "h"), "abc"), join(folder, "h")),
  ],
  ["a header longer than the format allows", "SAFETENSORS_LIMIT", () => fileOf({}, 0, 100_000_001n)],
  ["a header of 2^63 bytes", "SAFETENSORS_LIMIT", () => fileOf({}, 0, 1n << 63n)],
  ["a header cut off", "SAFETENSORS_DAMAGED", () => fileOf({}, 0, 3n)],
  ["a header that is no JSON", "SAFETENSORS_DAMAGED", () => fileOf("{", 0)],
  ["a header that is no UTF-8", "SAFETENSORS_DAMAGED", () => fileOf("", 4, 4n)],
  ["a header that nests without end", "SAFETENSORS_DAMAGED", () => fileOf("[".repeat(500_000), 0)],
  ["a header that is a list", "SAFETENSORS_DAMAGED", () => fileOf([], 0)],
  ["a tensor that is null", "SAFETENSORS_DAMAGED", () => fileOf({ x: null }, 0)],
  ["data cut off", "SAFETENSORS_DAMAGED", () => fileOf({ x: f32([2], 0, 8) }, 7)],
  ["bytes behind the data", "SAFETENSORS_DAMAGED", () => fileOf({ x: f32([2], 0, 8) }, 9)],
  ["overlapping tensors", "SAFETENSORS_DAMAGED", () => fileOf({ x: f32([2], 0, 8), y: f32([2], 4, 12) }, 12)],
  ["the same bytes twice", "SAFETENSORS_DAMAGED", () => fileOf({ x: f32([2], 0, 8), y: f32([2], 0, 8) }, 8)],
  [
    "an overlap that a hole makes up for",
    "SAFETENSORS_DAMAGED",
    () => fileOf({ x: f32([2], 0, 8), y: f32([2], 0, 8) }, 16),
  ],
  ["a hole", "SAFETENSORS_DAMAGED", () => fileOf({ x: f32([2], 0, 8), y: f32([2], 12, 20) }, 20)],
  ["a shape of other size than its bytes", "SAFETENSORS_DAMAGED", () => fileOf({ x: f32([3], 0, 8) }, 8)],
  ["a negative length", "SAFETENSORS_DAMAGED", () => fileOf({ x: f32([-1, -2], 0, 8) }, 8)],
  ["a fractional length", "SAFETENSORS_DAMAGED", () => fileOf({ x: f32([0.5, 4], 0, 8) }, 8)],
  [
    "lengths whose product overflows",
    "SAFETENSORS_DAMAGED",
    () => fileOf({ x: f32([2 ** 40, 2 ** 40], 0, 8) }, 8),
  ],
  ["offsets backwards", "SAFETENSORS_DAMAGED", () => fileOf({ x: f32([2], 8, 0) }, 8)],
  ["offsets that are texts", "SAFETENSORS_DAMAGED", () => fileOf({ x: f32([2], "0", "8") }, 8)],
  ["too many axes", "SAFETENSORS_LIMIT", () => fileOf({ x: f32(Array(33).fill(1), 0, 4) }, 4)],
  ["metadata that is no text", "SAFETENSORS_DAMAGED", () => fileOf({ __metadata__: { a: 1 } }, 0)],
  [
    "an element type it does not know",
    "SAFETENSORS_DTYPE",
    () => fileOf({ x: { ...f32([2], 0, 4), dtype: "F8_E4M3" } }, 4),
  ],
  [
    "a prototype's name as element type",
    "SAFETENSORS_DTYPE",
    () => fileOf({ x: { ...f32([2], 0, 4), dtype: "constructor" } }, 4),
  ],
  ["no file", "FILE_MISSING", async () => join(folder, "nowhere")],
  ["a folder", "FILE_REFUSED", async () => folder],
];

test.each(hostile)("%s is refused with %s", async (_, code, make) => {
  await expect(SafetensorsFile.open(await make())).rejects.toMatchObject({ code });
});

test("an unknown element type and an unknown tensor are named", async () => {
  const path = await fileOf({ x: { ...f32([2], 0, 4), dtype: "F8_E4M3" } }, 4);
  await expect(SafetensorsFile.open(path)).rejects.toThrow(/"x".*"F8_E4M3"/);
  const file = await SafetensorsFile.open(await fileOf({ weights: f32([2], 0, 8) }, 8));
  await expect(file.read("weight")).rejects.toMatchObject({
    code: "SAFETENSORS_TENSOR",
    fix: "It has: weights.",
  });
  await expect(file.read("weights", 1, 2)).rejects.toMatchObject({ code: "SAFETENSORS_RANGE" });
  await expect(file.read("weights", -1)).rejects.toMatchObject({ code: "SAFETENSORS_RANGE" });
  await file.close();
});

test("a tensor that is left out must take the bytes of its shape all the same, where its type is known", async () => {
  const write = async (dtype: string, shape: number[]) => {
    const path = await fileOf({ x: { ...f32(shape, 0, 8), dtype } }, 8);
    return SafetensorsFile.open(path, () => true);
  };
  for (const [dtype, shape] of [
    ["I64", [1]],
    ["U8", [8]],
    ["F4", [16]],
  ] as const) {
    const file = await write(dtype, [...shape]);
    expect(file.tensors.size).toBe(0);
    await file.close();
  }
  await expect(write("I64", [2])).rejects.toMatchObject({ code: "SAFETENSORS_DAMAGED" });
});

test("a tensor may have the name of a prototype", async () => {
  const path = await fileOf(`{"__proto__":${JSON.stringify(f32([2], 0, 8))}}`, 8);
  const file = await SafetensorsFile.open(path);
  expect([...file.tensors.keys()]).toEqual(["__proto__"]);
  expect(await file.read("__proto__")).toEqual(new Float32Array(2));
  await file.close();
});

test("a tensor that stands twice in the header is refused, rather than the last one read", async () => {
  const entry = (start: number, end: number) =>
    `"w":{"dtype":"F32","shape":[1],"data_offsets":[${start},${end}]}`;
  const path = await fileOf(`{${entry(0, 4)},${entry(4, 8)}}`, 8);
  await expect(SafetensorsFile.open(path)).rejects.toMatchObject({
    code: "SAFETENSORS_DAMAGED",
    message: expect.stringContaining("its header has one key twice, w") as string,
  });
});
