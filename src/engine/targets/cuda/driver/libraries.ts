/**
 * @file Opens the CUDA libraries, each once a process, in a version that the driver can serve.
 *
 * The driver serves libraries of its own CUDA major version and older ones. Libraries are opened globally, so that
 * cuBLAS finds cuBLASLt, and NVRTC its built-in headers, wherever they lie.
 */
import { readdirSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import type { LibraryHandle } from "koffi";
import { ParetoError } from "../../../../base/errors.ts";
import { koffi } from "./koffi.ts";
import { candidates, cudaMajors, type Candidate, type LibraryKind } from "./librarySearch.ts";

/** A library that is open. */
export interface OpenLibrary {
  readonly handle: LibraryHandle;
  /** As it was found: a path, or a name that the system's loader knows. */
  readonly path: string;
}

const installed: Record<LibraryKind, { what: string; fix: string }> = {
  cuda: { what: "the NVIDIA driver", fix: "Install the NVIDIA driver, for CUDA 12 or later." },
  nvrtc: {
    what: "NVRTC, CUDA's compiler library,",
    fix: "Install the CUDA toolkit, or run: pip install nvidia-cuda-nvrtc (for CUDA 12: nvidia-cuda-nvrtc-cu12). In an unusual folder? Name it in PARETO_CUDA_LIBRARIES.",
  },
  cublasLt: {
    what: "cuBLASLt",
    fix: "Install the CUDA toolkit, or run: pip install nvidia-cublas (for CUDA 12: nvidia-cublas-cu12). In an unusual folder? Name it in PARETO_CUDA_LIBRARIES.",
  },
  cublas: {
    what: "cuBLAS",
    fix: "Install the CUDA toolkit, or run: pip install nvidia-cublas (for CUDA 12: nvidia-cublas-cu12). In an unusual folder? Name it in PARETO_CUDA_LIBRARIES.",
  },
};

const open = new Map<LibraryKind, OpenLibrary>();

/**
 * Opens a library.
 * @param driverMajor CUDA's major version of the driver; without it any version is taken
 * @throws ParetoError `CUDA_DRIVER_MISSING`, `CUDA_LIBRARY_MISSING`, `CUDA_VERSION` when only a version is found that
 * is newer than the driver
 */
export function openLibrary(kind: LibraryKind, driverMajor: number = cudaMajors[0]): OpenLibrary {
  const known = open.get(kind);
  if (known) return known;
  const { load } = koffi();
  const found = firstUsable(
    kind,
    candidates(kind),
    (path) => {
      openNeighbours(kind, path);
      return load(path, { global: true, lazy: true });
    },
    driverMajor,
  );
  open.set(kind, found);
  return found;
}

/**
 * The first candidate that opens and is not newer than the driver.
 * @throws ParetoError as openLibrary
 */
export function firstUsable<T>(
  kind: LibraryKind,
  list: readonly Candidate[],
  load: (path: string) => T,
  driverMajor: number,
): { handle: T; path: string } {
  const failures: string[] = [];
  for (const { path, major } of list) {
    if (major > driverMajor) continue;
    try {
      return { handle: load(path), path };
    } catch (error) {
      failures.push(`${path}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
  const { what, fix } = installed[kind];
  const tooNew = list.find(({ path, major }) => major > driverMajor && isAbsolute(path));
  if (tooNew) {
    throw new ParetoError({
      code: "CUDA_VERSION",
      where: "cuda",
      message: `cuda: ${what} is newer than the driver, which is for CUDA ${driverMajor}, got ${tooNew.path}`,
      fix: `Update the NVIDIA driver to one for CUDA ${tooNew.major}, or install the libraries of CUDA ${driverMajor}.`,
    });
  }
  // A file that exists and does not open says more than a name that is unknown.
  const telling =
    failures.find((failure) => isAbsolute(failure)) ?? failures[0] ?? "no file of a usable version";
  throw new ParetoError({
    code: kind === "cuda" ? "CUDA_DRIVER_MISSING" : "CUDA_LIBRARY_MISSING",
    where: "cuda",
    message: `cuda: ${what} cannot be opened, got ${telling}`,
    fix,
  });
}

/** Opens what a library loads by name from its own folder, which the system's loader may not search. */
function openNeighbours(kind: LibraryKind, path: string): void {
  if (!isAbsolute(path) || (kind !== "nvrtc" && kind !== "cublas")) return;
  const folder = dirname(path);
  const prefix = kind === "nvrtc" ? "libnvrtc-builtins.so" : `libcublasLt.so.${path.split(".so.")[1]}`;
  for (const name of readdirSync(folder).filter((file) => file.startsWith(prefix))) {
    try {
      koffi().load(join(folder, name), { global: true, lazy: true });
    } catch {
      // The library itself says what it misses.
    }
  }
}
