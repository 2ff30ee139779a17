/** @file What a benchmark runs on and beside: programs of this folder, how busy the machine is, which commit. */
import { execFile, execFileSync } from "node:child_process";
import { cpus } from "node:os";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** Runs a program of this folder and reads the JSON on its last line. */
export async function runAlone(
  file: string,
  options: readonly string[],
  { timeoutMs = 0 }: { timeoutMs?: number } = {},
): Promise<unknown> {
  const script = fileURLToPath(new URL(file, import.meta.url));
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...options], {
    timeout: timeoutMs,
    killSignal: "SIGKILL",
    maxBuffer: 2 ** 26,
  });
  return JSON.parse(stdout.trim().split("\n").at(-1)!);
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
