/**
 * @file The doctor: whether a target works on this machine and how fast, found by real computations whose results
 * are checked. It takes a few seconds and some 350 MB for `cpu`, some ten seconds for `cuda`, an instant for `reference`.
 */
import { describeMachine, packageVersions, paretoVersion } from "../../base/environment.ts";
import { ParetoError } from "../../base/errors.ts";
import { openDevice } from "../openDevice.ts";
import type { Device } from "../program.ts";
import { check, type Check } from "./check.ts";
import { chainedMatmuls, exactMatmul } from "./matmuls.ts";
import { rowChecks } from "./rows.ts";

/** The oldest Node that runs Pareto. */
const NODE_MAJOR = 24;

/** What the doctor says of a target. */
export interface Diagnosis {
  target: string;
  checks: Check[];
  /** Whether every check passed. */
  ok: boolean;
}

/**
 * Checks a target on this machine.
 * @param target e.g. `cpu`
 * @param options.threads threads that compute; defaults to the cores available
 * @throws ParetoError TARGET_UNKNOWN
 */
export async function diagnose(target: string, options: { threads?: number } = {}): Promise<Diagnosis> {
  const reachable = await openDevice(target, { threads: 1 }).catch((error: unknown) => error);
  // An unknown target is the caller's mistake; anything else that fails shows in the checks.
  if (reachable instanceof ParetoError && reachable.code === "TARGET_UNKNOWN") throw reachable;
  if (!(reachable instanceof Error)) await (reachable as Device).dispose();
  const { threads = describeMachine().cores } = options;
  if (target === "cuda") return diagnoseCuda();
  const checks = [...environment(), await exactMatmul(target)];
  if (target === "cpu") {
    const version = packageVersions()["onnxruntime-node"] ?? "missing";
    checks.push(
      await check("onnxruntime", () => ({
        ok: version !== "missing",
        value: version,
        unit: "",
        detail: "The package that computes matrix products on this target.",
      })),
      await chainedMatmuls(target, threads),
      ...(await rowChecks(threads)),
    );
  }
  return { target, checks, ok: checks.every(({ ok }) => ok) };
}

/** What is missing shows by itself; where anything is, nothing can be computed. */
async function diagnoseCuda(): Promise<Diagnosis> {
  const { libraryChecks } = await import("./cudaLibraries.ts");
  const checks = [...environment(), ...(await libraryChecks())];
  if (checks.every(({ ok }) => ok)) {
    const { rateChecks } = await import("./cudaRates.ts");
    checks.push(await exactMatmul("cuda"), ...(await rateChecks()));
  }
  return { target: "cuda", checks, ok: checks.every(({ ok }) => ok) };
}

function environment(): Check[] {
  const { cpu, cores, memoryBytes } = describeMachine();
  const isNewEnough = Number(process.versions.node.split(".")[0]) >= NODE_MAJOR;
  const gibibytes = Math.round((memoryBytes / 2 ** 30) * 10) / 10;
  return [
    { name: "pareto", ok: true, value: paretoVersion(), unit: "", detail: "This package." },
    {
      name: "node",
      ok: isNewEnough,
      value: process.versions.node,
      unit: "",
      detail: `Pareto runs on Node ${NODE_MAJOR} and newer.`,
    },
    { name: "cores", ok: cores > 0, value: cores, unit: "cores", detail: cpu },
    { name: "memory", ok: true, value: gibibytes, unit: "GiB", detail: "Of the whole machine." },
  ];
}
