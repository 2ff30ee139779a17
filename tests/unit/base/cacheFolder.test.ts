/** @file Where things are kept that can be made again. */
import { join } from "node:path";
import { expect, test } from "vitest";
import { cacheFolder } from "../../../src/base/cacheFolder.ts";

test("the folder is the user's cache folder of the system", () => {
  expect(cacheFolder("cuda", { XDG_CACHE_HOME: "/caches" }, "linux")).toBe(join("/caches", "pareto", "cuda"));
  expect(cacheFolder("cuda", {}, "linux")).toMatch(/\.cache\/pareto\/cuda$/);
  expect(cacheFolder("cuda", { LOCALAPPDATA: "/local" }, "win32")).toBe(join("/local", "pareto", "cuda"));
  expect(cacheFolder("", { XDG_CACHE_HOME: "/caches" }, "linux")).toBe(join("/caches", "pareto"));
});
