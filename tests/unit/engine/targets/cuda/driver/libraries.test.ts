/** @file Where the CUDA libraries are searched for, and what is said when none can be used. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { firstUsable } from "../../../../../../src/engine/targets/cuda/driver/libraries.ts";
import { candidates, thisMachine } from "../../../../../../src/engine/targets/cuda/driver/librarySearch.ts";

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "cuda-libraries-"));
});
afterEach(() => {
  rmSync(root, { recursive: true });
});

function put(...path: string[]): string {
  const file = join(root, ...path);
  mkdirSync(join(file, ".."), { recursive: true });
  writeFileSync(file, "");
  return file;
}

/** This machine with nothing but what the test put in place. */
function place(env: NodeJS.ProcessEnv) {
  const { list } = thisMachine();
  return {
    platform: "linux" as const,
    env,
    home: join(root, "home"),
    list: (folder: string) => (folder.startsWith(root) ? list(folder) : []),
  };
}

function paths(...search: Parameters<typeof candidates>): string[] {
  return candidates(...search).map(({ path }) => path);
}

describe("the search for a library", () => {
  test("begins in the named folders, then asks the system's loader, newest version first", () => {
    const named = put("named", "libnvrtc.so.12");
    expect(
      paths("nvrtc", place({ PARETO_CUDA_LIBRARIES: `${join(root, "empty")}:${join(root, "named")}` })),
    ).toEqual([named, "libnvrtc.so.13", "libnvrtc.so.12"]);
  });

  test("finds toolkits by CUDA_HOME and CUDA_PATH, in lib64 and lib", () => {
    const home = put("home-toolkit", "lib64", "libcublas.so.13");
    const path = put("path-toolkit", "lib", "libcublas.so.12");
    const env = { CUDA_HOME: join(root, "home-toolkit"), CUDA_PATH: join(root, "path-toolkit") };
    expect(paths("cublas", place(env))).toEqual(["libcublas.so.13", home, "libcublas.so.12", path]);
  });

  test("finds pip's packages of CUDA 13 and 12 in a virtual environment and in the user's folder", () => {
    const venv = put(
      "venv",
      "lib",
      "python3.12",
      "site-packages",
      "nvidia",
      "cu13",
      "lib",
      "libcublasLt.so.13",
    );
    const user = put(
      "home",
      ".local",
      "lib",
      "python3.11",
      "site-packages",
      "nvidia",
      "cublas",
      "lib",
      "libcublasLt.so.12",
    );
    expect(
      candidates("cublasLt", place({ VIRTUAL_ENV: join(root, "venv") })).filter(({ path }) =>
        path.startsWith(root),
      ),
    ).toEqual([
      { path: venv, major: 13 },
      { path: user, major: 12 },
    ]);
  });

  test("knows the driver and Windows by their names", () => {
    expect(paths("cuda", place({}))).toEqual(["libcuda.so.1"]);
    const windows = { ...place({}), platform: "win32" as const };
    expect(paths("cuda", windows)).toEqual(["nvcuda.dll"]);
    expect(paths("nvrtc", windows)).toEqual(["nvrtc64_130_0.dll", "nvrtc64_120_0.dll"]);
  });
});

describe("opening a library", () => {
  const fail = (): never => {
    throw new Error("no such file");
  };

  test("takes the first that opens and is not newer than the driver", () => {
    const list = [
      { path: "/a/libnvrtc.so.13", major: 13 },
      { path: "/b/libnvrtc.so.12", major: 12 },
      { path: "/c/libnvrtc.so.12", major: 12 },
    ];
    const load = (path: string): string => (path.startsWith("/b") ? fail() : path);
    expect(firstUsable("nvrtc", list, load, 12).path).toBe("/c/libnvrtc.so.12");
    expect(firstUsable("nvrtc", list, load, 13).path).toBe("/a/libnvrtc.so.13");
  });

  test("says which library is too new for the driver", () => {
    const list = [{ path: "/a/libnvrtc.so.13", major: 13 }];
    expect(() => firstUsable("nvrtc", list, fail, 12)).toThrow(
      expect.objectContaining({
        code: "CUDA_VERSION",
        message: expect.stringContaining("CUDA 12, got /a/libnvrtc.so.13"),
        fix: expect.stringContaining("CUDA 13"),
      }),
    );
  });

  test("says what is missing and how to install it", () => {
    expect(() => firstUsable("cuda", [{ path: "libcuda.so.1", major: 0 }], fail, 13)).toThrow(
      expect.objectContaining({
        code: "CUDA_DRIVER_MISSING",
        message: expect.stringContaining("no such file"),
      }),
    );
    expect(() => firstUsable("cublasLt", [], fail, 13)).toThrow(
      expect.objectContaining({
        code: "CUDA_LIBRARY_MISSING",
        fix: expect.stringContaining("pip install nvidia-cublas"),
      }),
    );
  });
});
