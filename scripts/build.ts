/** @file Builds the package: kernels, then `dist/` from the sources, with the kernels beside the code that loads them. */
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, readdirSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..");
const kernels = "engine/targets/cpu/kernels/kernels.wasm";
const cudaFolder = "engine/targets/cuda/kernels";
const cudaKernels = readdirSync(join(root, "src", cudaFolder))
  .filter((name) => name.endsWith(".cu") || name.endsWith(".cuh"))
  .map((name) => join(cudaFolder, name));
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");

rmSync(join(root, "dist"), { recursive: true, force: true });
execFileSync(process.execPath, [join(root, "scripts/buildKernels.ts")], { stdio: "inherit" });
execFileSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json")], { stdio: "inherit" });
for (const file of [kernels, ...cudaKernels]) copyFileSync(join(root, "src", file), join(root, "dist", file));
chmodSync(join(root, "dist/cli/main.js"), 0o755);
