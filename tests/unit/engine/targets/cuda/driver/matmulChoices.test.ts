/** @file Choices of algorithms kept on disk. */
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { MatmulChoices } from "../../../../../../src/engine/targets/cuda/driver/matmulChoices.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "matmul-choices-"));
});
afterEach(() => rmSync(root, { recursive: true }));

const [first, second, third] = [1, 2, 3].map((value) => new Uint8Array(64).fill(value)) as [
  Uint8Array,
  Uint8Array,
  Uint8Array,
];

test("a kept choice is found by the next process, among the proposals of then", () => {
  new MatmulChoices(root, "GPU", "13.0").keep("matmul", second);
  const next = new MatmulChoices(root, "GPU", "13.0");
  const proposed = [first, second.slice(), third];
  expect(next.find("matmul", proposed)).toBe(proposed[1]);
  expect(next.find("matmul", [first, third])).toBeUndefined();
  expect(next.find("another", proposed)).toBeUndefined();
});

test("another GPU or version of cuBLASLt has choices of its own", () => {
  new MatmulChoices(root, "GPU", "13.0").keep("matmul", second);
  expect(new MatmulChoices(root, "GPU", "13.1").find("matmul", [second])).toBeUndefined();
});

test("processes add to each other's choices", () => {
  const [one, two] = [new MatmulChoices(root, "GPU"), new MatmulChoices(root, "GPU")];
  one.keep("p", first);
  two.keep("q", second);
  const next = new MatmulChoices(root, "GPU");
  expect([next.find("p", [first]), next.find("q", [second])]).toEqual([first, second]);
  expect(readdirSync(root)).toHaveLength(1);
});

test("a damaged file or a folder that cannot be written costs only time", () => {
  new MatmulChoices(root, "GPU").keep("p", first);
  const file = join(root, readdirSync(root)[0]!);
  writeFileSync(file, '{"p": 7');
  expect(new MatmulChoices(root, "GPU").find("p", [first])).toBeUndefined();
  const nowhere = new MatmulChoices(join(file, "folder"), "GPU");
  nowhere.keep("p", first);
  expect(nowhere.find("p", [first])).toBe(first);
});
