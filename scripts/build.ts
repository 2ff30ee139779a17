/** @file Builds the package: kernels, then `dist/` from the sources, with the kernels beside the code that loads them. */
import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

const root = join(import.meta.dirname, "..");
const kernels = "engine/targets/cpu/kernels/kernels.wasm";
const tsc = join(dirname(createRequire(import.meta.url).resolve("typescript/package.json")), "bin", "tsc");

rmSync(join(root, "dist"), { recursive: true, force: true });
execFileSync(process.execPath, [join(root, "scripts/buildKernels.ts")], { stdio: "inherit" });
execFileSync(process.execPath, [tsc, "-p", join(root, "tsconfig.build.json")], { stdio: "inherit" });
copyFileSync(join(root, "src", kernels), join(root, "dist", kernels));
chmodSync(join(root, "dist/cli/main.js"), 0o755);
