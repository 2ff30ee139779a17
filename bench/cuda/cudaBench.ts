/**
 * @file The CUDA table: groups of rows, each measured in a process of its own, so that one that crashes or leaves the
 * GPU in error costs its own rows only.
 */
import { ParetoError } from "../../src/base/errors.ts";
import { runAlone } from "../machine.ts";
import type { BenchRow } from "../measure.ts";
import { describeGpu, type Gpu } from "./gpu.ts";
import { failedRow } from "../failedRow.ts";
import { GROUP_SECONDS, groupNames, measureGroup, type GroupName } from "./groups.ts";
import { fullSizes, smallSizes } from "./sizes.ts";

/** How to run {@link cudaBench}. */
export interface CudaBenchOptions {
  /** Groups to measure; all unless told. */
  only?: readonly GroupName[];
  /** Sizes that show only that it runs. */
  small?: boolean;
}

/** What a run measured. */
export interface CudaBenchResult {
  bench: "cuda";
  small: boolean;
  gpu: Gpu;
  groups: { name: GroupName; seconds: number }[];
}

/** Why nothing can be measured here; null where there is a GPU that works. */
export async function missingGpu(): Promise<ParetoError | null> {
  try {
    await describeGpu();
    return null;
  } catch (error) {
    if (error instanceof ParetoError) return error;
    throw error;
  }
}

/** The groups of `--only`. @throws Error for a name that no group has */
export function groupsNamed(list: string | undefined): GroupName[] {
  if (list === undefined) return groupNames;
  const asked = list.split(",").map((name) => name.trim());
  const unknown = asked.find((name) => !groupNames.some((known) => known === name));
  if (unknown !== undefined) {
    throw new Error(`--only: no group has this name, got "${unknown}"; use: ${groupNames.join(", ")}`);
  }
  return asked as GroupName[];
}

/** Measures. All groups take some four minutes on an H100. */
export async function cudaBench({ only = groupNames, small = false }: CudaBenchOptions): Promise<{
  rows: BenchRow[];
  results: CudaBenchResult[];
}> {
  const rows: BenchRow[] = [];
  const groups: CudaBenchResult["groups"] = [];
  for (const name of only) {
    const start = performance.now();
    rows.push(
      ...(only.length === 1
        ? await measureGroup(name, small ? smallSizes : fullSizes)
        : await alone(name, small)),
    );
    groups.push({ name, seconds: Math.round((performance.now() - start) / 100) / 10 });
  }
  return { rows, results: [{ bench: "cuda", small, gpu: await describeGpu(), groups }] };
}

async function alone(name: GroupName, small: boolean): Promise<BenchRow[]> {
  const options = ["cuda", "--only", name, "--json-only", ...(small ? ["--small"] : [])];
  try {
    const timeoutMs = 1000 * GROUP_SECONDS;
    const { rows } = (await runAlone("./main.ts", options, { timeoutMs })) as { rows: BenchRow[] };
    return rows;
  } catch (error) {
    const { signal, stderr } = error as { signal?: string; stderr?: string };
    if (signal) return [failedRow(name, `its process was ended by ${signal}`)];
    return [
      failedRow(
        name,
        stderr
          ?.trim()
          .split("\n")
          .findLast((line) => /error/i.test(line)) ?? error,
      ),
    ];
  }
}
