/**
 * @file Compiles the AssemblyScript row kernels to WebAssembly: SIMD, threads, an imported shared memory of up
 * to 4 GiB, no runtime and no host imports. Run by `npm run prepare`, and so by `npm ci`; takes about two seconds.
 */
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { webAssembly } from "../src/engine/targets/cpu/kernels/webAssembly.ts";

const folder = fileURLToPath(new URL("../src/engine/targets/cpu/kernels/", import.meta.url));
const compiler = fileURLToPath(new URL("../bin/asc.js", import.meta.resolve("assemblyscript/asc")));

const flags = [
  "assembly/index.ts --outFile kernels.wasm",
  "--enable simd --enable threads --enable bulk-memory",
  "--importMemory --sharedMemory --initialMemory 1 --maximumMemory 65536",
  "--runtime stub --noExportMemory -O3 --noAssert --converge",
];
execFileSync(process.execPath, [compiler, ...flags.join(" ").split(" ")], { cwd: folder, stdio: "inherit" });

const bytes = await readFile(`${folder}kernels.wasm`);
const module = await webAssembly.compile(bytes);
const foreign = webAssembly.Module.imports(module).filter((item) => item.kind !== "memory");
if (foreign.length > 0) throw new Error(`the kernels import host functions: ${JSON.stringify(foreign)}`);
// Static data would be written anew by each thread, into memory that arenas and heaps hand out.
if (hasDataSection(bytes))
  throw new Error("the kernels have static data: use no arrays and no Math of float64");
const names = webAssembly.Module.exports(module).map((item) => item.name);
console.log(`kernels.wasm: ${names.join(", ")}`);

/** Whether a module has a section of data: sections are an id, a length (LEB128), and so many bytes. */
function hasDataSection(bytes: Uint8Array): boolean {
  const dataSection = 11;
  for (let at = 8; at < bytes.length;) {
    if (bytes[at++] === dataSection) return true;
    let length = 0;
    let shift = 0;
    let byte: number;
    do {
      byte = bytes[at++]!;
      length |= (byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80);
    at += length;
  }
  return false;
}
