/** @file The libraries that the `cuda` target calls, each found by itself, and whether the compiler compiles. */
import { readFileSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { ParetoError } from "../../base/errors.ts";
import { CudaContext, formatVersion } from "../targets/cuda/driver/context.ts";
import { cacheFolder } from "../../base/cacheFolder.ts";
import { bind } from "../targets/cuda/driver/koffi.ts";
import { openLibrary } from "../targets/cuda/driver/libraries.ts";
import { Nvrtc } from "../targets/cuda/driver/nvrtc.ts";
import { check, type Check } from "./check.ts";

/** Why this machine has no GPU that can be used; null when it has one. */
export function missingGpu(): ParetoError | null {
  try {
    CudaContext.open().dispose();
    return null;
  } catch (error) {
    if (error instanceof ParetoError) return error;
    throw error;
  }
}

/** Compiled for when there is no GPU to say what it is. */
const DEFAULT_ARCH = "sm_80";
const MEBI = 2 ** 20;

/** Driver, GPU, libraries, compiler, kernel cache. */
export async function libraryChecks(): Promise<Check[]> {
  let context: CudaContext | undefined;
  const checks: Check[] = [];
  const make = async (...args: Parameters<typeof check>) => checks.push(await check(...args));
  try {
    await make("driver library", () => ({
      ok: true,
      value: driverRelease() ?? "found",
      unit: "",
      detail: `${openLibrary("cuda").path}.`,
    }));
    await make("gpu", () => {
      context = CudaContext.open();
      const { name, computeCapability, multiprocessors, driverVersion, l2Bytes, maxSharedBytes } =
        context.info;
      return {
        ok: true,
        value: name,
        unit: "",
        detail:
          `Compute capability ${computeCapability.join(".")}, ${multiprocessors} multiprocessors, ` +
          `${Math.round(l2Bytes / MEBI)} MiB of L2, ${Math.floor(maxSharedBytes / 1024)} KiB of shared memory a block; ` +
          `the driver is for CUDA ${formatVersion(driverVersion)}.`,
      };
    });
    if (context) {
      const { freeBytes, totalBytes } = context.memory();
      const gibibytes = (bytes: number) => Math.round((bytes / 2 ** 30) * 10) / 10;
      await make("gpu memory", () => ({
        ok: true,
        value: gibibytes(freeBytes),
        unit: "GiB",
        detail: `Free, of ${gibibytes(totalBytes)} GiB.`,
      }));
    }
    const driverMajor = context && Math.floor(context.info.driverVersion / 1000);
    await make("nvrtc", () => {
      const { version, path } = Nvrtc.open(driverMajor);
      return { ok: true, value: version, unit: "", detail: `${path}.` };
    });
    await make("cublasLt", () => cublasLt(driverMajor));
    await make("compile", () => compileOnce(context?.info.arch ?? DEFAULT_ARCH, driverMajor));
    await make("kernel cache", kernelCache);
  } finally {
    context?.dispose();
  }
  return checks;
}

/** The driver's release, e.g. `580.65.06`, where the system tells; else null. */
export function driverRelease(): string | null {
  try {
    return /\b\d{3,}\.\d+(?:\.\d+)?\b/.exec(readFileSync("/proc/driver/nvidia/version", "utf8"))?.[0] ?? null;
  } catch {
    return null;
  }
}

function cublasLt(driverMajor: number | undefined) {
  const { handle, path } = openLibrary("cublasLt", driverMajor);
  const { cublasLtGetVersion } = bind<{ cublasLtGetVersion(): number }>(handle, {
    cublasLtGetVersion: "size_t cublasLtGetVersion(void)",
  });
  // 10000 · major + 100 · minor + patch
  const version = Number(cublasLtGetVersion());
  const parts = [Math.floor(version / 10_000), Math.floor(version / 100) % 100, version % 100];
  return { ok: true, value: parts.join("."), unit: "", detail: `${path}.` };
}

/** Compiles a source that no cache holds. */
async function compileOnce(arch: string, driverMajor: number | undefined) {
  const name = "probe";
  const code = `extern "C" __global__ void ${name}(float *y) { y[threadIdx.x] = ${Date.now()}.0f; }\n`;
  const start = performance.now();
  const cubin = await Nvrtc.open(driverMajor).compile({ name, code }, arch);
  const milliseconds = Math.round(performance.now() - start);
  return {
    ok: cubin.length > 0,
    value: milliseconds,
    unit: "ms",
    detail: `A small kernel became ${cubin.length} bytes of machine code for ${arch}.`,
  };
}

async function kernelCache() {
  const directory = cacheFolder("cuda");
  const files = await readdir(directory).catch(() => []);
  const sizes = await Promise.all(
    files.map((file) =>
      stat(join(directory, file)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  );
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  return {
    ok: true,
    value: Math.round((bytes / MEBI) * 10) / 10,
    unit: "MiB",
    detail: `${files.length} compiled kernels in ${directory}.`,
  };
}
