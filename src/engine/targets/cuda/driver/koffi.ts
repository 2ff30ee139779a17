/**
 * @file The bridge to C: calls through koffi.
 *
 * Handles and device addresses travel as numbers (they stay below 2^53), host memory as typed arrays, which koffi
 * passes by address. Calls run on this thread; `callAsync` runs one on a thread of koffi's pool.
 */
import type * as koffiModule from "koffi";
import { loadKoffi, NATIVE_STACK_BYTES } from "../../../../base/koffi.ts";

/** What can be given to a C function: a number or address, host memory, text, or nothing. */
export type NativeValue = number | bigint | string | readonly string[] | ArrayBufferView | null;

/** Functions of a library by name, with the C prototype of each. */
export type Prototypes<L> = { readonly [K in keyof L]: string };

/**
 * koffi itself.
 * @throws ParetoError `CUDA_LIBRARY_MISSING` when the package is not installed
 */
export function koffi(): typeof koffiModule {
  return loadKoffi("CUDA_LIBRARY_MISSING", "the cuda target");
}

/** Whether calls on other threads have a stack that a compiler can live on. */
export function roomyThreads(): boolean {
  return (koffi().config().async_stack_size ?? 0) >= NATIVE_STACK_BYTES;
}

/**
 * Binds all functions of a library.
 * @throws Error of koffi when one is missing
 */
export function bind<L>(library: koffiModule.LibraryHandle, prototypes: Prototypes<L>): L {
  const entries = Object.entries<string>(prototypes).map(([name, prototype]) => [
    name,
    library.func(prototype),
  ]);
  return Object.fromEntries(entries) as L;
}

/** Calls a bound function on a thread of koffi's pool. The arguments are kept alive until it returns. */
export function callAsync<R>(func: (...args: never[]) => R, ...args: NativeValue[]): Promise<R> {
  const { promise, resolve, reject } = Promise.withResolvers<R>();
  const bound = func as unknown as koffiModule.KoffiFunc<(...args: NativeValue[]) => R>;
  bound.async(...args, (error: unknown, result: R) => {
    // Naming args here keeps host memory reachable while C works on it.
    if (error) reject(new Error(`native call with ${args.length} arguments failed`, { cause: error }));
    else resolve(result);
  });
  return promise;
}

/** Memory at an address that C gave, as an ArrayBuffer that does not own it. */
export function viewMemory(address: number, bytes: number): ArrayBuffer {
  return koffi().view(address, bytes);
}

/** Address of host memory. It stays valid while the array is reachable. */
export function addressOf(array: ArrayBufferView): number {
  return Number(koffi().address(array));
}

/** A place for C to write one 64-bit handle, address or size. */
export class OutWord {
  readonly place = new BigUint64Array(1);
  /** What was written. */
  get value(): number {
    return Number(this.place[0]);
  }
}
