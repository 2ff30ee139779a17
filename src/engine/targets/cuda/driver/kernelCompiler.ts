/** @file From sources to kernels that can be launched: each distinct source is compiled once a machine. */
import type { KernelSource } from "../plan.ts";
import type { CudaContext } from "./context.ts";
import { CubinCache, cubinKey, defaultCacheDirectory } from "./cubinCache.ts";
import { CudaModule, type Kernel } from "./module.ts";
import { Nvrtc } from "./nvrtc.ts";

/** How kernels are compiled. */
export interface KernelCompilerOptions {
  /** Where machine code is kept. Defaults to the user's cache folder. */
  cacheDirectory?: string;
}

/** Compiles kernels for one GPU and keeps them loaded. */
export class KernelCompiler {
  readonly #context: CudaContext;
  readonly #cache: CubinCache;
  readonly #nvrtc: Nvrtc;
  readonly #kernels = new Map<string, Promise<Kernel>>();
  readonly #modules: CudaModule[] = [];
  #disposed = false;

  /** @throws ParetoError `CUDA_LIBRARY_MISSING`, `CUDA_VERSION` */
  constructor(
    context: CudaContext,
    { cacheDirectory = defaultCacheDirectory() }: KernelCompilerOptions = {},
  ) {
    this.#context = context;
    this.#cache = new CubinCache(cacheDirectory);
    this.#nvrtc = Nvrtc.open(Math.floor(context.info.driverVersion / 1000));
  }

  /**
   * The kernels of sources, by their code.
   * @throws ParetoError `CUDA_COMPILE`
   */
  async compile(sources: readonly KernelSource[]): Promise<Map<string, Kernel>> {
    const distinct = new Map(sources.map((source) => [source.code, source]));
    const kernels = [...distinct.values()].map(async (source): Promise<[string, Kernel]> => [
      source.code,
      await this.#kernel(source),
    ]);
    // All are waited for, so that no compilation goes on behind an error.
    const settled = await Promise.allSettled(kernels);
    const failed = settled.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
    return new Map(await Promise.all(kernels));
  }

  /** Unloads all kernels; none may be running. */
  dispose(): void {
    this.#disposed = true;
    for (const module of this.#modules) module.dispose();
    this.#modules.length = 0;
    this.#kernels.clear();
  }

  #kernel(source: KernelSource): Promise<Kernel> {
    const known = this.#kernels.get(source.code);
    if (known) return known;
    const kernel = this.#load(source);
    this.#kernels.set(source.code, kernel);
    // A failure is told to whoever waits now; the next one tries anew.
    kernel.catch(() => this.#kernels.delete(source.code));
    return kernel;
  }

  async #load(source: KernelSource): Promise<Kernel> {
    const { arch } = this.#context.info;
    const key = cubinKey(source.code, source.name, this.#nvrtc.version, ...this.#nvrtc.settings(arch));
    const cubin = await this.#cache.get(key, () => this.#nvrtc.compile(source, arch));
    if (this.#disposed) throw new Error("the kernel compiler was disposed of while it compiled");
    const module = new CudaModule(this.#context, cubin);
    this.#modules.push(module);
    return module.kernel(source.name);
  }
}
