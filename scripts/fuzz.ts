/**
 * @file `npm run fuzz -- [READER…] [--minutes N] [--seed S] [--inputs N] [--failures FOLDER]`: reads changed files with
 * each reader. Prints how many, and each that failed; the exit status is then 1. `--minutes` are those of all readers
 * together; `--inputs` is the most of each.
 */
import { parseArgs } from "node:util";
import { fuzzReader } from "./fuzz/fuzzReader.ts";
import { FUZZ_TARGETS, fuzzTarget } from "./fuzz/targets.ts";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    minutes: { type: "string", default: "5" },
    seed: { type: "string" },
    inputs: { type: "string" },
    failures: { type: "string", default: "runs/fuzz" },
  },
});

/** @throws Error for what is no positive number */
function positive(name: string, text: string): number {
  const value = Number(text);
  if (value > 0) return value;
  throw new Error(`--${name}: a number above 0 is needed; got "${text}"`);
}

const targets = positionals.length > 0 ? positionals.map(fuzzTarget) : FUZZ_TARGETS;
const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
const seconds = (60 * positive("minutes", values.minutes)) / targets.length;
console.log(`seed ${seed}, ${seconds.toFixed(0)} s a reader`);
let [inputs, faults] = [0, 0];
for (const target of targets) {
  const outcome = await fuzzReader(target, {
    seed,
    seconds,
    failures: values.failures,
    ...(values.inputs !== undefined && { inputs: positive("inputs", values.inputs) }),
    onFault: ({ input, text, folder }) =>
      console.log(
        `  ${target.name} input ${input}: ${text.split("\n").slice(0, 6).join("\n    ")}\n    kept in ${folder}`,
      ),
  });
  inputs += outcome.inputs;
  faults += outcome.faults.length;
  console.log(
    `${target.name.padEnd(18)}${String(outcome.inputs).padStart(9)} inputs  ${outcome.faults.length} faults`,
  );
}
console.log(`${"all".padEnd(18)}${String(inputs).padStart(9)} inputs  ${faults} faults`);
process.exit(faults > 0 ? 1 : 0);
