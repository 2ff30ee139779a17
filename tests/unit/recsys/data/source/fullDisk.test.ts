/** @file What is said when the disk is full. */
import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { expect, test } from "vitest";
import { fileError } from "../../../../../src/base/fileErrors.ts";
import { wrapDuckdbError } from "../../../../../src/recsys/data/source/duckdbErrors.ts";

test.skipIf(!existsSync("/dev/full"))("a full disk is named, whether Node or DuckDB meets it", async () => {
  const handle = await open("/dev/full", "w");
  const error: unknown = await handle.write("x").catch((cause: unknown) => cause);
  await handle.close();
  expect(fileError(error, "out.parquet")).toMatchObject({ code: "FILE_DISK_FULL", where: "out.parquet" });
  const native = new Error('IO Error: Could not write file "x": No space left on device');
  expect(wrapDuckdbError(native, "out.parquet")).toMatchObject({ code: "FILE_DISK_FULL", cause: native });
});
