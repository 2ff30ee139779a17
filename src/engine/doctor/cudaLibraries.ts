/** @file The libraries that the `cuda` target calls, each found by itself, and whether the compiler compiles. */
import { readFileSync } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { cacheFolder } from "../../base/cacheFolder.ts";
import {
  compileProbe,
  CudaContext,
  findCublasLt,
  findDriver,
  findNvrtc,
  formatVersion,
} from "../targets/cuda/index.ts";
import { check, type Check } from "./check.ts";

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
      detail: `${findDriver()}.`,
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
      const { version, path } = findNvrtc(driverMajor);
      return { ok: true, value: version, unit: "", detail: `${path}.` };
    });
    await make("cublasLt", () => {
      const { version, path } = findCublasLt(driverMajor);
      return { ok: true, value: version, unit: "", detail: `${path}.` };
    });
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

/** Compiles a source that no cache holds. */
async function compileOnce(arch: string, driverMajor: number | undefined) {
  const start = performance.now();
  const bytes = await compileProbe(arch, driverMajor);
  const milliseconds = Math.round(performance.now() - start);
  return {
    ok: bytes > 0,
    value: milliseconds,
    unit: "ms",
    detail: `A small kernel became ${bytes} bytes of machine code for ${arch}.`,
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
