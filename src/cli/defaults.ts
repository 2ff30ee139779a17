/** @file Options whose default reads better in words than as a value. */
import { availableParallelism } from "node:os";
import { Option } from "commander";
import { wholeNumber } from "./values.ts";

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

/** `--threads`. */
export function threadsOption(): Option {
  const parse = wholeNumber("--threads", 1, 1024);
  return withDefault("--threads <n>", "threads that compute", parse, availableParallelism(), "the cores");
}
