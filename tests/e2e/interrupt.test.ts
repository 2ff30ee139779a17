/** @file Ctrl-C and SIGTERM in the stages that take long: obeyed at once, with nothing half-written left behind. */
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { writeWordModel } from "../support/llm/wordModel.ts";
import { tinyRecipe } from "../support/llm/tinyRecipes.ts";
import { relatedSequences } from "../support/protein/sequences.ts";
import { numbers, SMALL, Workspace } from "./cli.ts";

/** It takes a tenth of it on a machine with nothing else to do. */
const LIMIT_MS = 2000;

let work: Workspace;
beforeAll(async () => {
  work = await Workspace.create();
  const next = numbers(3);
  const line = () => `${next() < 0.4 ? 1 : 0},${next()},u${Math.floor(next() * 5000)},${next() * 9}\n`;
  const block = Array.from({ length: 20_000 }, line).join("");
  await writeFile(work.path("big.csv"), `y,x,user,z\n${block.repeat(60)}`);
  await writeFile(work.path("small.csv"), `y,x,user,z\n${block}`);
  await work.json([
    "recsys",
    "train",
    "small.csv",
    "--label",
    "y",
    ...SMALL,
    "--epochs",
    "1",
    "--out",
    "run",
  ]);
});
afterAll(() => work.remove());

/** All that is there but the cache of compiled code. */
const names = async () =>
  (await readdir(work.directory, { recursive: true })).filter((name) => !/node-compile/.test(name));

interface Stage {
  name: string;
  args: string[];
  /** Whether the stage is under way, by the names of the files and what was written. */
  isReached: (names: string[], output: string) => boolean;
}

/** Starts a command, sends the signal once a stage is reached, and says what came of it. */
async function interrupted({ args, isReached }: Omit<Stage, "name">, signal: NodeJS.Signals) {
  const before = await names();
  const { child, done } = work.start([...args, "--json"]);
  let output = "";
  child.stdout!.on("data", (text: string) => (output += text));
  while (
    !isReached(
      (await names()).filter((name) => !before.includes(name)),
      output,
    )
  ) {
    expect(child.exitCode, "the stage was missed").toBeNull();
    await sleep(5);
  }
  // Into the stage, which takes seconds.
  await sleep(100);
  const sent = performance.now();
  child.kill(signal);
  const { status } = await done;
  return { milliseconds: performance.now() - sent, status, before, after: await names() };
}

const ingest = ["big.csv", "--label", "y", ...SMALL];
const isReading = (found: string[]) => found.some((name) => name.includes("pareto-source-"));
const isTask = (task: string) => (_: string[], output: string) => output.includes(`"task":"${task}"`);

describe.each([
  { name: "train, reading", args: ["recsys", "train", ...ingest], isReached: isReading },
  {
    name: "train, building vocabularies",
    args: ["recsys", "train", ...ingest],
    isReached: isTask("vocabulary"),
  },
  { name: "train, encoding", args: ["recsys", "train", ...ingest], isReached: isTask("encode") },
  { name: "profile, reading", args: ["recsys", "profile", ...ingest], isReached: isReading },
  { name: "evaluate, encoding", args: ["recsys", "evaluate", "run", "big.csv"], isReached: isTask("encode") },
  {
    name: "predict, predicting",
    args: ["recsys", "predict", "run", "big.csv", "--out", "p.csv"],
    isReached: isTask("predict"),
  },
  {
    name: "synth",
    args: ["recsys", "synth", "--rows", "3000000", "--out", "log.parquet"],
    isReached: isTask("write"),
  },
] satisfies Stage[])("recsys $name", ({ args, isReached }) => {
  it.each(["SIGINT", "SIGTERM"] as const)("ends at %s and leaves nothing", async (signal) => {
    const { milliseconds, status, before, after } = await interrupted({ args, isReached }, signal);
    expect(status).toBe(130);
    expect(milliseconds).toBeLessThan(LIMIT_MS);
    expect(after).toEqual(before);
  });
});

describe("the other domains", () => {
  /** Ended by the system itself, or as one that was interrupted. */
  const ends = async (stage: Omit<Stage, "name">) => {
    const { milliseconds, status } = await interrupted(stage, "SIGTERM");
    expect([null, 130]).toContain(status);
    expect(milliseconds).toBeLessThan(LIMIT_MS);
  };

  it("protein train ends while it reads and groups", async () => {
    await mkdir(work.path("families"));
    const sequences = relatedSequences(1, 4, 600);
    for (let label = 0; label < 4; label++) {
      const own = sequences.filter((sequence) => sequence.label === label);
      const text = own.map(({ name, species, residues }) => `>${name} OS=${species}\n${residues}\n`).join("");
      await writeFile(work.path("families", `family${label}.fa`), text);
    }
    const args = [
      "protein",
      "train",
      "families",
      "--split",
      "cluster",
      "--model",
      "profamnet",
      "--out",
      "proteins",
    ];
    await ends({ args, isReached: isTask("read") });
  });

  it("llm train ends while it learns a vocabulary", async () => {
    const next = numbers(5);
    const word = () => Array.from({ length: 7 }, () => "abcdefghijklmnop"[Math.floor(next() * 16)]).join("");
    await writeFile(work.path("text.txt"), Array.from({ length: 600_000 }, word).join(" "));
    const recipe = tinyRecipe("llama", "text");
    await writeFile(
      work.path("recipe.json"),
      JSON.stringify({ ...recipe, data: { ...recipe.data, vocabulary: 8000 } }),
    );
    const args = ["llm", "train", "text.txt", "--recipe", "recipe.json", "--threads", "1", "--out", "lm"];
    const started = performance.now();
    await ends({ args, isReached: () => performance.now() - started > 1500 });
  });

  it("llm evaluate ends while it measures", async () => {
    await writeWordModel(work.path("words"));
    const args = [
      "llm",
      "evaluate",
      "words",
      "--task",
      "copy",
      "--context",
      "48",
      "--items",
      "5000",
      "--threads",
      "1",
      "--out",
      "eval",
    ];
    await ends({ args, isReached: isTask("evaluate") });
  });
});
