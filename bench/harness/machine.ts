/** @file What a benchmark runs on and beside: the machine, how busy it is, which commit. */
import { execFileSync } from "node:child_process";
import { cpus } from "node:os";
import { describeMachine } from "../../src/base/environment.ts";

/** Where and when something was measured, as result files keep it. */
export interface BenchMachine {
  cpu: string;
  cores: number;
  memoryBytes: number;
  node: string;
  /** ISO 8601. */
  date: string;
  /** Null outside a checkout. */
  commit: string | null;
}

/** This machine, now. @param commitText where there is no checkout */
export function benchMachine(commitText: string | undefined): BenchMachine {
  const { cpu, cores, memoryBytes } = describeMachine();
  const date = new Date().toISOString();
  return { cpu, cores, memoryBytes, node: process.version, date, commit: commitText ?? commit() };
}

/**
 * The share of the machine that other programs use, watched for half a second while this one waits. Figures taken on
 * a busy machine are low; their ratios are less so.
 */
export async function busyShare(): Promise<number> {
  const times = () =>
    cpus().reduce(
      (sum, { times: { idle, ...work } }) => {
        const busy = Object.values(work).reduce((a, b) => a + b, 0);
        return { busy: sum.busy + busy, all: sum.all + busy + idle };
      },
      { busy: 0, all: 0 },
    );
  const before = times();
  await new Promise((resolve) => setTimeout(resolve, 500));
  const after = times();
  return (after.busy - before.busy) / Math.max(1, after.all - before.all);
}

/** The commit measured, with a mark when files differ from it; null outside a checkout. */
export function commit(): string | null {
  try {
    return execFileSync("git", ["describe", "--always", "--dirty", "--abbrev=12"], {
      cwd: import.meta.dirname,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    }).trim();
  } catch {
    return null;
  }
}
