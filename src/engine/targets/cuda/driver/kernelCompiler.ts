/** @file From sources to kernels that can be launched: each distinct source is compiled once a machine. */
import type { KernelSource } from "../plan.ts";
import type { CudaContext } from "./context.ts";
import { cacheFolder } from "../../../../base/cacheFolder.ts";
import { CubinCache, cubinKey } from "./cubinCache.ts";
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
  readonly #modules = new Map<string, Promise<CudaModule>>();
  readonly #kernels = new Map<string, Kernel>();
  readonly #loaded: CudaModule[] = [];
  #disposed = false;

  /** @throws ParetoError `CUDA_LIBRARY_MISSING`, `CUDA_VERSION` */
  constructor(context: CudaContext, { cacheDirectory = cacheFolder("cuda") }: KernelCompilerOptions = {}) {
    this.#context = context;
    this.#cache = new CubinCache(cacheDirectory);
    this.#nvrtc = Nvrtc.open(Math.floor(context.info.driverVersion / 1000));
  }

  /**
   * The kernels of sources, in their order.
   * @throws ParetoError `CUDA_COMPILE`
   */
  async compile(sources: readonly KernelSource[]): Promise<Kernel[]> {
    // All are waited for, so that no compilation goes on behind an error.
    const settled = await Promise.allSettled(sources.map((source) => this.#module(source)));
    const failed = settled.find((result) => result.status === "rejected");
    if (failed) throw failed.reason;
    return Promise.all(sources.map(async (source) => this.#kernel(source, await this.#module(source))));
  }

  /** Unloads all kernels; none may be running. */
  dispose(): void {
    this.#disposed = true;
    for (const module of this.#loaded) module.dispose();
    this.#loaded.length = 0;
    this.#modules.clear();
    this.#kernels.clear();
  }

  #kernel({ name, code }: KernelSource, module: CudaModule): Kernel {
    const key = `${name}\n${code}`;
    let kernel = this.#kernels.get(key);
    if (!kernel) {
      kernel = module.kernel(name);
      this.#kernels.set(key, kernel);
    }
    return kernel;
  }

  #module(source: KernelSource): Promise<CudaModule> {
    const known = this.#modules.get(source.code);
    if (known) return known;
    const module = this.#load(source);
    this.#modules.set(source.code, module);
    // A failure goes to whoever waits now; the next call tries again.
    module.catch(() => this.#modules.delete(source.code));
    return module;
  }

  async #load(source: KernelSource): Promise<CudaModule> {
    const { arch } = this.#context.info;
    const key = cubinKey(source.code, this.#nvrtc.version, ...this.#nvrtc.settings(arch));
    const cubin = await this.#cache.get(key, () => this.#nvrtc.compile(source, arch));
    if (this.#disposed) throw new Error("the kernel compiler was disposed of while it compiled");
    const module = new CudaModule(this.#context, cubin);
    this.#loaded.push(module);
    return module;
  }
}
