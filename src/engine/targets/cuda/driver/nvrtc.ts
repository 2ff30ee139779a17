/**
 * @file NVRTC: CUDA C++ to machine code (cubin) for one architecture. Needs no GPU and no driver.
 *
 * Compilations run on other threads, so several go on at once. Arithmetic is IEEE (no fast-math) except that a
 * product and a sum may become one fused multiply-add.
 */
import { availableParallelism } from "node:os";
import { ParetoError } from "../../../../base/errors.ts";
import type { KernelSource } from "../plan.ts";
import type { Memory } from "./driverLibrary.ts";
import { cudaError } from "./errors.ts";
import { bind, callAsync, OutWord, roomyThreads, type Prototypes } from "./koffi.ts";
import { openLibrary } from "./libraries.ts";

interface NvrtcLibrary {
  nvrtcVersion(outMajor: Memory, outMinor: Memory): number;
  nvrtcCreateProgram(
    outProgram: Memory,
    source: string,
    name: string,
    headerCount: number,
    headers: number,
    names: number,
  ): number;
  nvrtcCompileProgram(program: number, optionCount: number, options: readonly string[]): number;
  nvrtcGetProgramLogSize(program: number, outBytes: Memory): number;
  nvrtcGetProgramLog(program: number, log: Memory): number;
  nvrtcGetCUBINSize(program: number, outBytes: Memory): number;
  nvrtcGetCUBIN(program: number, cubin: Memory): number;
  nvrtcDestroyProgram(inOutProgram: Memory): number;
}

const prototypes: Prototypes<NvrtcLibrary> = {
  nvrtcVersion: "int nvrtcVersion(void *major, void *minor)",
  nvrtcCreateProgram:
    "int nvrtcCreateProgram(void *program, const char *source, const char *name, int headerCount, uintptr_t headers, uintptr_t names)",
  nvrtcCompileProgram: "int nvrtcCompileProgram(uintptr_t program, int optionCount, const char **options)",
  nvrtcGetProgramLogSize: "int nvrtcGetProgramLogSize(uintptr_t program, void *bytes)",
  nvrtcGetProgramLog: "int nvrtcGetProgramLog(uintptr_t program, void *log)",
  nvrtcGetCUBINSize: "int nvrtcGetCUBINSize(uintptr_t program, void *bytes)",
  nvrtcGetCUBIN: "int nvrtcGetCUBIN(uintptr_t program, void *cubin)",
  nvrtcDestroyProgram: "int nvrtcDestroyProgram(void *program)",
};

/** Options of every compilation, beside the architecture. */
const options = ["--std=c++17", "-default-device", "--fmad=true"] as const;

/** Source lines shown around each line that the compiler complains about. */
const contextLines = 2;

let nvrtc: Nvrtc | undefined;

/** The compiler. */
export class Nvrtc {
  /** E.g. `13.0`. */
  readonly version: string;
  readonly path: string;
  readonly #library: NvrtcLibrary;
  /** Compilations that may start now, and those that wait. */
  #slots = Math.min(16, Math.max(1, availableParallelism()));
  readonly #queue: (() => void)[] = [];

  private constructor(library: NvrtcLibrary, path: string) {
    this.#library = library;
    this.path = path;
    const [major, minor] = [new Int32Array(1), new Int32Array(1)];
    checkNvrtc(library.nvrtcVersion(major, minor), "nvrtcVersion");
    this.version = `${major[0]}.${minor[0]}`;
  }

  /**
   * Opens NVRTC, once a process.
   * @param driverMajor CUDA's major version of the driver that is to load the code; without it any version is taken
   * @throws ParetoError `CUDA_LIBRARY_MISSING`, `CUDA_VERSION` when it is newer than the driver
   */
  static open(driverMajor?: number): Nvrtc {
    if (nvrtc) return nvrtc;
    const { handle, path } = openLibrary("nvrtc", driverMajor);
    nvrtc = new Nvrtc(bind(handle, prototypes), path);
    return nvrtc;
  }

  /** What the machine code depends on beside the source. */
  settings(arch: string): readonly string[] {
    return [`--gpu-architecture=${arch}`, ...options];
  }

  /**
   * Machine code of a source.
   * @param arch e.g. `sm_90a`
   * @throws ParetoError `CUDA_COMPILE` with the compiler's words and the lines that they are about
   */
  async compile(source: KernelSource, arch: string): Promise<Uint8Array> {
    if (this.#slots === 0) await new Promise<void>((resolve) => this.#queue.push(resolve));
    else this.#slots--;
    try {
      return await this.#compile(source, arch);
    } finally {
      const next = this.#queue.shift();
      if (next) next();
      else this.#slots++;
    }
  }

  async #compile(source: KernelSource, arch: string): Promise<Uint8Array> {
    const library = this.#library;
    const program = new OutWord();
    const created = library.nvrtcCreateProgram(program.place, source.code, `${source.name}.cu`, 0, 0, 0);
    checkNvrtc(created, "nvrtcCreateProgram", `kernel ${source.name}`);
    try {
      const settings = this.settings(arch);
      const status = roomyThreads()
        ? await callAsync(library.nvrtcCompileProgram, program.value, settings.length, settings)
        : library.nvrtcCompileProgram(program.value, settings.length, settings);
      if (status !== 0) throw compileError(source, arch, this.version, status, this.#log(program.value));
      const size = new OutWord();
      checkNvrtc(
        library.nvrtcGetCUBINSize(program.value, size.place),
        "nvrtcGetCUBINSize",
        `kernel ${source.name}`,
      );
      const cubin = new Uint8Array(size.value);
      checkNvrtc(library.nvrtcGetCUBIN(program.value, cubin), "nvrtcGetCUBIN", `kernel ${source.name}`);
      return cubin;
    } finally {
      library.nvrtcDestroyProgram(program.place);
    }
  }

  #log(program: number): string {
    const size = new OutWord();
    checkNvrtc(this.#library.nvrtcGetProgramLogSize(program, size.place), "nvrtcGetProgramLogSize");
    const log = Buffer.alloc(Math.max(1, size.value));
    checkNvrtc(this.#library.nvrtcGetProgramLog(program, log), "nvrtcGetProgramLog");
    return log.toString("utf8").replaceAll("\0", "").trim();
  }
}

function checkNvrtc(status: number, call: string, where?: string): void {
  if (status !== 0) throw cudaError("nvrtc", status, call, where);
}

function compileError(
  source: KernelSource,
  arch: string,
  version: string,
  status: number,
  log: string,
): ParetoError {
  const base = cudaError("nvrtc", status, "nvrtcCompileProgram", `kernel ${source.name}`);
  const message = `${base.message} from NVRTC ${version} for ${arch}\n${log}\n${numberedLines(source, log)}`;
  return new ParetoError({ code: "CUDA_COMPILE", where: base.where, message, fix: base.fix });
}

/** The lines of a source that a log names, with their numbers and neighbours; the first lines when it names none. */
export function numberedLines({ code }: KernelSource, log: string): string {
  const lines = code.split("\n");
  const shown = new Set<number>();
  for (const [, number] of log.matchAll(/\.cu\((\d+)\)/g)) {
    for (let at = Number(number) - contextLines; at <= Number(number) + contextLines; at++) shown.add(at);
    if (shown.size > 60) break;
  }
  if (shown.size === 0) for (let at = 1; at <= 20; at++) shown.add(at);
  return [...shown]
    .filter((number) => number >= 1 && number <= lines.length)
    .sort((a, b) => a - b)
    .map((number) => `${String(number).padStart(5)} | ${lines[number - 1]}`)
    .join("\n");
}
