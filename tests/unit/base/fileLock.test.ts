/** @file Locks that end with their process: one holder, its name, a stale file, a holder that is killed. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { hostname, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { lockHolder, tryLock } from "../../../src/base/fileLock.ts";

let root: string;
let path: string;
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-lock-"));
  path = join(root, "lock");
});
afterEach(() => rm(root, { recursive: true, force: true }));

const me = { pid: process.pid, host: hostname(), purpose: "recsys train" };

async function take() {
  const attempt = await tryLock(path, "recsys train");
  if (attempt.kind !== "taken") throw new Error(`the lock is ${attempt.kind}`);
  return attempt;
}

test("one holds it at a time, by name, and leaves nothing behind", async () => {
  const { lock, left } = await take();
  expect(left).toBeNull();
  expect(lockHolder(path)).toEqual(me);
  expect(await tryLock(path, "recsys train")).toEqual({ kind: "held", by: me });
  lock.release();
  lock.release();
  expect(existsSync(path)).toBe(false);
  expect(lockHolder(path)).toBeNull();
  (await take()).lock.release();
});

test.for([
  ["that names a process which lives", JSON.stringify({ pid: process.ppid, host: hostname(), purpose: "x" })],
  ["that is empty", ""],
  ["that is torn", '{"pid": 1'],
  ["of other JSON", "[null]"],
])("a file %s is no lock", async ([, text]) => {
  writeFileSync(path, text!);
  expect(lockHolder(path)).toBeNull();
  const { lock } = await take();
  expect(JSON.parse(await readFile(path, "utf8"))).toEqual(me);
  lock.release();
});

test("of many who ask at once, one gets it", async () => {
  const attempts = await Promise.all(Array.from({ length: 8 }, () => tryLock(path, "recsys train")));
  expect(attempts.map(({ kind }) => kind).toSorted()).toEqual([
    ...Array.from({ length: 7 }, () => "held"),
    "taken",
  ]);
  for (const attempt of attempts) if (attempt.kind === "taken") attempt.lock.release();
});

test("it ends with a process that is killed, and says who that was", async () => {
  const module = JSON.stringify(join(import.meta.dirname, "../../../src/base/fileLock.ts"));
  const code = `const { tryLock } = await import(${module});
    await tryLock(${JSON.stringify(path)}, "llm train");
    console.log("held");
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", code], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(child.stdout, "data");
  const holder = { ...me, pid: child.pid, purpose: "llm train" };
  expect(await tryLock(path, "recsys train")).toEqual({ kind: "held", by: holder });
  child.kill("SIGKILL");
  await once(child, "exit");
  const { lock, left } = await take();
  expect(left).toEqual(holder);
  lock.release();
});
