/**
 * @file The part of the WebAssembly interface that the kernels use. Neither the ES libraries nor Node's types
 * declare it; the DOM library would bring a browser's globals along.
 */
declare namespace WebAssembly {
  interface Memory {
    readonly buffer: ArrayBuffer | SharedArrayBuffer;
  }
  interface Instance {
    readonly exports: Record<string, unknown>;
  }
  interface Module {
    readonly [Symbol.toStringTag]: string;
  }
  var Memory: new (descriptor: { initial: number; maximum?: number; shared?: boolean }) => Memory;
  var Instance: new (module: Module, imports?: Record<string, Record<string, unknown>>) => Instance;
  var Module: {
    new (bytes: Uint8Array<ArrayBuffer>): Module;
    imports(module: Module): { module: string; name: string; kind: string }[];
    exports(module: Module): { name: string; kind: string }[];
  };
  function compile(bytes: Uint8Array<ArrayBuffer>): Promise<Module>;
}
