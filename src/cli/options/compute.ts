/** @file Options whose default reads better in words than as a value. */
import { availableParallelism } from "node:os";
import { Option } from "commander";
import { oneOf, wholeNumber } from "./values.ts";

/** An option with a default that help shows as `shown`. */
export function withDefault<T>(
  flags: string,
  description: string,
  parse: (text: string) => T,
  value: T,
  shown: string,
): Option {
  return new Option(flags, description).argParser(parse).default(value, shown);
}

/** What a command computes with. */
export interface ComputeFlags {
  threads: number;
  device: "cpu" | "cuda";
}

/** `--device`. */
export function deviceOption(): Option {
  const parse = oneOf("--device", ["cpu", "cuda"]);
  return withDefault(
    "--device <name>",
    "where the dense part runs: cpu or cuda (an NVIDIA GPU)",
    parse,
    "cpu",
    "cpu",
  );
}

/** `--threads`. */
export function threadsOption(): Option {
  const parse = wholeNumber("--threads", 1, 1024);
  return withDefault("--threads <n>", "threads that compute", parse, availableParallelism(), "the cores");
}
