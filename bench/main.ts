/**
 * @file The benchmarks: `npm run bench -- AREA [options]`. Each ends in a table, every figure beside a limit or a peer
 * measured in the same run, and, as the last line, everything as one line of JSON.
 *
 * `--help` lists the areas. `all` measures those that make up the table of the documentation, each in a process of its
 * own; where there is no NVIDIA GPU it leaves out those that need one and says so.
 */
import { writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { parseArgs } from "node:util";
import type { AreaOption, BenchArea, BenchContext, BenchOutcome } from "./harness/area.ts";
import { areaHelp, areaNames, commonOptions, helpLines, loadArea, onlyOption } from "./harness/areas.ts";
import { runProgram } from "./harness/alone.ts";
import { missingGpu } from "./harness/gpu.ts";
import { benchMachine, busyShare } from "./harness/machine.ts";
import { benchTable, failedRow } from "./harness/rows.ts";

/** A machine this busy with other work blurs what is measured. */
const BUSY = 0.1;

/** What a command asks for. */
interface Request {
  /** Areas by name, in order. */
  areas: [name: string, area: BenchArea][];
  context: Omit<BenchContext, "only">;
  /** Groups of the one area; null for all groups. */
  only: readonly string[] | null;
  out: string | undefined;
  isJsonOnly: boolean;
  commit: string | undefined;
}

/** Groups of `--only`. @throws Error for a name that no group has */
function groupsNamed(groups: readonly string[], list: string | undefined): readonly string[] | null {
  if (list === undefined) return null;
  const asked = list.split(",").map((name) => name.trim());
  const unknown = asked.find((name) => !groups.includes(name));
  if (unknown === undefined) return asked;
  throw new Error(`--only: no group has this name; use: ${groups.join(", ")}; got "${unknown}"`);
}

/** Reads the command line; null where only help was asked for. @throws Error for what cannot be done */
async function readRequest(args: readonly string[]): Promise<Request | null> {
  const [name, ...rest] = args;
  const names = await areaNames();
  if (name === undefined || name === "--help" || name === "-h") {
    for (const line of await helpLines()) console.log(line);
    return null;
  }
  const isAll = name === "all";
  if (!isAll && !names.includes(name))
    throw new Error(`no benchmark has this name; use one of: ${names.join(", ")}, all; got "${name}"`);
  const area = isAll ? null : await loadArea(name);
  const groups = area?.groups;
  const { values } = parseArgs({
    args: rest,
    options: { ...area?.options, ...(groups && { only: onlyOption(groups) }), ...commonOptions },
  }) as { values: Record<string, string | boolean | undefined> };
  if (values["help"]) {
    for (const line of area ? areaHelp(name, area) : await helpLines()) console.log(line);
    return null;
  }
  const text = (option: string) => values[option] as string | undefined;
  for (const [option, { isRequired, meaning }] of Object.entries<AreaOption>(area?.options ?? {}))
    if (isRequired && values[option] === undefined) throw new Error(`--${option}: give ${meaning}, got none`);
  const threads = Number(text("threads") ?? benchMachine("").cores);
  if (!Number.isInteger(threads) || threads < 1)
    throw new Error(`--threads must be a whole number from 1, got "${text("threads")}"`);
  const only = groupsNamed(groups ?? [], text("only"));
  const isJsonOnly = values["json-only"] === true;
  const wanted = area ? [[name, area] as [string, BenchArea]] : await allAreas(names);
  const missing = wanted.some(([, { needsGpu }]) => needsGpu) ? await missingGpu() : null;
  if (missing && !isAll)
    throw new Error(`${name} cannot be measured here: ${missing.message}. ${missing.fix}`);
  if (missing && !isJsonOnly) {
    const left = wanted.flatMap(([name, { needsGpu }]) => (needsGpu ? [name] : []));
    console.log(`${left.join(", ")}: left out, ${missing.message}.`);
  }
  return {
    areas: wanted.filter(([, { needsGpu }]) => !missing || !needsGpu),
    context: {
      threads,
      small: values["small"] === true,
      values,
      log: (line) => {
        if (!isJsonOnly) console.error(line);
      },
    },
    only,
    out: text("out"),
    isJsonOnly,
    commit: text("commit"),
  };
}

async function allAreas(names: readonly string[]): Promise<[string, BenchArea][]> {
  const areas = await Promise.all(
    names.map(async (name) => [name, await loadArea(name)] as [string, BenchArea]),
  );
  return areas.filter(([, { isInAll }]) => isInAll);
}

/** A group of an area, or a whole area, in a process of its own; one that fails is a row that says so. */
async function inProcess(
  [name, area]: [name: string, area: BenchArea],
  group: string | null,
  { threads, small, values }: Request["context"],
): Promise<BenchOutcome> {
  const options = [name, "--json-only", "--threads", String(threads), ...(small ? ["--small"] : [])];
  if (group !== null) options.push("--only", group);
  for (const option of Object.keys(area.options ?? {})) {
    const value = values[option];
    if (value !== undefined) options.push(value === true ? `--${option}` : `--${option}=${value}`);
  }
  const timeoutMs = group === null ? 0 : (area.isolation?.timeoutMs ?? 0);
  try {
    return (await runProgram(import.meta.filename, options, { timeoutMs })) as BenchOutcome;
  } catch (error) {
    const { signal, stderr } = error as { signal?: string; stderr?: string };
    const said = stderr
      ?.trim()
      .split("\n")
      .findLast((line) => /error/i.test(line));
    const reason = signal ? `its process was ended by ${signal}` : (said ?? error);
    return { rows: [failedRow(group ?? name, reason)], results: [] };
  }
}

/** Measures an area in this process, or each of its groups in a process of its own. */
async function measure(name: string, area: BenchArea, request: Request): Promise<BenchOutcome> {
  const { context } = request;
  const only = request.only ?? area.groups ?? [];
  if (!area.isolation || only.length === 1) return area.run({ ...context, only });
  const outcome: BenchOutcome = { rows: [], results: [] };
  for (const group of only) {
    const start = performance.now();
    const { rows, results } = await inProcess([name, area], group, context);
    outcome.rows.push(...rows);
    outcome.results.push(...results);
    context.log(`${group}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
  }
  return outcome;
}

async function main(request: Request): Promise<void> {
  const { areas, context, isJsonOnly, out } = request;
  const outcomes: BenchOutcome[] = [];
  const busyBefore: Record<string, number> = {};
  for (const [name, area] of areas) {
    busyBefore[name] = isJsonOnly ? 0 : await busyShare();
    outcomes.push(
      areas.length === 1 ? await measure(name, area, request) : await inProcess([name, area], null, context),
    );
  }
  const rows = outcomes.flatMap((outcome) => outcome.rows);
  if (!isJsonOnly) {
    for (const line of outcomes.flatMap(({ tables = [] }) => tables)) console.log(line);
    for (const line of benchTable(rows)) console.log(line);
    if (context.small) console.log("Small sizes: these figures show only that everything runs.");
    const busiest = Math.max(...Object.values(busyBefore));
    if (busiest > BUSY) {
      const percent = Math.round(100 * busiest);
      console.log(
        `Other programs used ${percent} % of this machine before it: measure again when it is idle.`,
      );
    }
  }
  const json = JSON.stringify({
    machine: benchMachine(request.commit),
    // Files by their names alone: where they lie says nothing to a reader.
    command: ["npm run bench --", ...process.argv.slice(2).map((text) => basename(text))].join(" "),
    busyBefore,
    rows,
    results: outcomes.flatMap(({ results }) => results),
    ...Object.assign({}, ...outcomes.map(({ fields }) => fields)),
  });
  if (out !== undefined) await writeFile(out, `${json}\n`);
  console.log(json);
}

let request: Request | null = null;
try {
  request = await readRequest(process.argv.slice(2));
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 2;
}
if (request) await main(request);
