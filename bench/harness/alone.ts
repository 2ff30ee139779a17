/**
 * @file Work in a process of its own, so that its memory and its threads are its own: a program that prints JSON as its
 * last line, or one function of a module.
 *
 * Run as a program, `node bench/harness/alone.ts MODULE FUNCTION ARGUMENTS`, it calls the function with a JSON list and
 * prints what the function resolves to.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";

/** Limits of a process. */
export interface AloneOptions {
  /** It is killed after this time. Defaults to no limit. */
  timeoutMs?: number;
}

/** Runs a program and reads the JSON on its last line. @throws Error of `execFile`, `stderr` and `signal` on it */
export async function runProgram(
  script: string,
  options: readonly string[],
  { timeoutMs = 0 }: AloneOptions = {},
): Promise<unknown> {
  const { stdout } = await promisify(execFile)(process.execPath, [script, ...options], {
    timeout: timeoutMs,
    killSignal: "SIGKILL",
    maxBuffer: 2 ** 26,
  });
  return JSON.parse(stdout.trim().split("\n").at(-1)!);
}

/**
 * Calls an exported function in a process of its own.
 * @param module file that exports it @param work the function; only its name is passed on
 * @param values its arguments, which must survive JSON, as must what it resolves to
 */
export async function runAlone<Values extends readonly unknown[], Result>(
  module: string,
  work: (...values: Values) => Promise<Result>,
  values: Values,
  options: AloneOptions = {},
): Promise<Result> {
  const call = [module, work.name, JSON.stringify(values)];
  return (await runProgram(import.meta.filename, call, options)) as Result;
}

if (import.meta.main) {
  const [module, name, values] = process.argv.slice(2) as [string, string, string];
  const exported = (await import(module)) as Record<string, (...values: unknown[]) => Promise<unknown>>;
  console.log(JSON.stringify(await exported[name]!(...(JSON.parse(values) as unknown[]))));
}
