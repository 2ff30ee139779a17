/** @file Checkpoints: what is saved is read, the old one stays until the new one is whole, damage is found. */
import { existsSync } from "node:fs";
import { mkdtemp, open, readdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { TensorSource } from "../../../src/base/writeSafetensors.ts";
import { openCheckpoint, writeCheckpoint } from "../../../src/run/checkpoint.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "pareto-checkpoint-"));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const kind = "test-model";
const state = { epoch: 3, lists: [1, null, "x"], "10": true, "2": -1.5e-9 };
const weights: Float32Array = Float32Array.from({ length: 30 }, (_, i) => Math.sin(i));
const ids = Int32Array.of(5, -6, 7);

/** The weights in one reused buffer of two rows, as a table too large for memory is streamed. */
function* pieces(values: Float32Array) {
  const buffer = new Float32Array(6);
  for (let at = 0; at < values.length; at += 6) {
    buffer.set(values.subarray(at, at + 6));
    yield buffer;
  }
}

function tensors(values = weights): TensorSource[] {
  return [
    { name: "table", dtype: "float32", shape: [10, 3], chunks: () => pieces(values) },
    {
      name: "ids",
      dtype: "int32",
      shape: [3],
      chunks: async function* () {
        yield ids;
      },
    },
    { name: "none", dtype: "float64", shape: [0], chunks: () => [] },
  ];
}

const save = (values?: Float32Array) => writeCheckpoint(folder, { kind, state, tensors: tensors(values) });
const tensorFile = async () =>
  join(
    folder,
    (await readdir(folder)).find((name) => name.endsWith(".safetensors"))!,
  );

async function expectWhole(values = weights): Promise<void> {
  const checkpoint = await openCheckpoint(folder, kind);
  await checkpoint.verify();
  expect(checkpoint.state).toEqual(state);
  expect(await checkpoint.read("table")).toEqual(values);
  await checkpoint.close();
  expect(await readdir(folder)).toHaveLength(2);
}

test("state and tensors come back, in parts too", async () => {
  await save();
  await expectWhole();
  const checkpoint = await openCheckpoint(folder, kind);
  expect(await checkpoint.read("table", 12, 6)).toEqual(weights.subarray(12, 18));
  expect(await checkpoint.read("ids")).toEqual(ids);
  expect([...checkpoint.tensors.keys()].sort()).toEqual(["ids", "none", "table"]);
  await expect(checkpoint.read("tables")).rejects.toMatchObject({ code: "CHECKPOINT_TENSOR" });
  await checkpoint.close();
});

test("a new checkpoint replaces the old one and what a killed save left", async () => {
  await save();
  await writeFile(join(folder, "tensors-0123abcd.safetensors.partial"), "torn");
  await writeFile(join(folder, "tensors-0123abcd.safetensors"), "never named");
  const next = weights.map((x) => x + 1);
  await save(next);
  await expectWhole(next);
});

test("the old checkpoint stays when the source of the new one fails", async () => {
  await save();
  const failing: TensorSource = {
    ...tensors()[0]!,
    chunks: function* () {
      yield weights.subarray(0, 6);
      throw new RangeError("source failed");
    },
  };
  const content = { kind, state, tensors: [failing] };
  await expect(writeCheckpoint(folder, content)).rejects.toThrow("source failed");
  await expectWhole();
});

test("the old checkpoint stays, and opens, at every moment of a save", async () => {
  await save();
  const next = weights.map((x) => -x);
  const watched: TensorSource = {
    ...tensors()[0]!,
    chunks: async function* () {
      for (const piece of pieces(next)) {
        const old = await openCheckpoint(folder, kind);
        await old.verify();
        expect(await old.read("table")).toEqual(weights);
        await old.close();
        yield piece;
      }
    },
  };
  await writeCheckpoint(folder, { kind, state, tensors: [watched] });
  const now = await openCheckpoint(folder, kind);
  expect(await now.read("table")).toEqual(next);
  await now.close();
});

test.skipIf(!existsSync("/dev/full"))("a full disk is said, and the old checkpoint stays", async () => {
  await save();
  const last: TensorSource = {
    ...tensors()[0]!,
    chunks: async function* () {
      yield weights;
      // What is written next goes to a device that is always full.
      await symlink("/dev/full", join(folder, "checkpoint.json.partial"));
    },
  };
  await expect(writeCheckpoint(folder, { kind, state, tensors: [last] })).rejects.toMatchObject({
    code: "FILE_DISK_FULL",
  });
  await expectWhole();
});

test("a state that JSON cannot hold is refused before anything is written", async () => {
  const content = { kind, state: { loss: Number.NaN }, tensors: tensors() };
  await expect(writeCheckpoint(folder, content)).rejects.toMatchObject({ code: "CHECKPOINT_STATE" });
  expect(await readdir(folder)).toEqual([]);
});

test("folders without a checkpoint, and of another kind or version, are told apart", async () => {
  const missing = { code: "CHECKPOINT_MISSING" };
  await expect(openCheckpoint(folder, kind)).rejects.toMatchObject(missing);
  await expect(openCheckpoint(join(folder, "nowhere"), kind)).rejects.toMatchObject(missing);
  await save();
  await expect(openCheckpoint(folder, "other")).rejects.toMatchObject({ code: "CHECKPOINT_KIND" });
  const path = join(folder, "checkpoint.json");
  const text = await readFile(path, "utf8");
  await writeFile(path, text.replace('"version": 1', '"version": 2'));
  await expect(openCheckpoint(folder, kind)).rejects.toMatchObject({ code: "CHECKPOINT_VERSION" });
});

const damages: [what: string, damage: () => Promise<void>][] = [
  ["manifest cut off", async () => truncate(join(folder, "checkpoint.json"), 100)],
  ["manifest empty", async () => truncate(join(folder, "checkpoint.json"), 0)],
  ["manifest that is no checkpoint", async () => writeFile(join(folder, "checkpoint.json"), '{"a": 1}')],
  ["manifest that is null", async () => writeFile(join(folder, "checkpoint.json"), "null")],
  [
    "a digit of the state changed",
    async () => {
      const path = join(folder, "checkpoint.json");
      await writeFile(path, (await readFile(path, "utf8")).replace('"epoch": 3', '"epoch": 4'));
    },
  ],
  ["tensors cut off", async () => truncate(await tensorFile(), 300)],
  ["tensors gone", async () => rm(await tensorFile())],
];

test.each(damages)("damage is found on opening: %s", async (_, damage) => {
  await save();
  await damage();
  await expect(openCheckpoint(folder, kind)).rejects.toMatchObject({ code: "CHECKPOINT_DAMAGED" });
});

test("one flipped bit of a tensor is found by verify", async () => {
  await save();
  const path = await tensorFile();
  const bytes = await readFile(path);
  const file = await open(path, "r+");
  await file.write(Buffer.of(bytes.at(-20)! ^ 4), 0, 1, bytes.length - 20);
  await file.close();
  const checkpoint = await openCheckpoint(folder, kind);
  await expect(checkpoint.verify()).rejects.toMatchObject({ code: "CHECKPOINT_DAMAGED" });
  await checkpoint.close();
});
