/**
 * @file The part of the WebAssembly interface that the kernels use, typed. Neither the ES libraries nor Node's
 * types declare it; the DOM library would bring a browser's globals along, and a global declaration of ours
 * would clash with it in a user's program.
 */

/** A compiled module; it can be sent to workers. */
export interface WasmModule {
  readonly [Symbol.toStringTag]: string;
}

/** A memory; a shared one can be sent to workers. */
export interface WasmMemory {
  readonly buffer: ArrayBuffer | SharedArrayBuffer;
  /** Adds pages of 64 KiB. A shared memory keeps its place, so views of what it was stay valid. */
  grow(pages: number): number;
}

interface WasmInterface {
  compile(bytes: Uint8Array<ArrayBuffer>): Promise<WasmModule>;
  Module: {
    imports(module: WasmModule): { module: string; name: string; kind: string }[];
    exports(module: WasmModule): { name: string; kind: string }[];
  };
  Memory: new (descriptor: { initial: number; maximum: number; shared: boolean }) => WasmMemory;
  Instance: new (
    module: WasmModule,
    imports: Record<string, Record<string, unknown>>,
  ) => { readonly exports: Record<string, unknown> };
}

/** The host's WebAssembly. */
export const webAssembly = (globalThis as unknown as { WebAssembly: WasmInterface }).WebAssembly;
