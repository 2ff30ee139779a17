/** @file Runs the command line as a child process in a folder of its own, and reads what it wrote. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect } from "vitest";

/** The program. */
const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

/** A JSON line of stdout. */
export type JsonLine = { event: string } & Record<string, unknown>;

/** What a command came to. */
export interface Finished {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** Options that make training small, beside those a test is about; later ones of the same name win. */
export const SMALL = [
  "--cache",
  "cache",
  "--threads",
  "2",
  "--model",
  "dlrm:dim=8,bottom=32,top=32",
  "--batch-size",
  "64",
];

/** A temporary folder in which commands run, with a folder `tmp` for their own temporary files. */
export class Workspace {
  readonly directory: string;

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async create(): Promise<Workspace> {
    const work = new Workspace(await mkdtemp(join(tmpdir(), "pareto-e2e-")));
    await mkdir(work.path("tmp"));
    return work;
  }

  path(...parts: string[]): string {
    return join(this.directory, ...parts);
  }

  async remove(): Promise<void> {
    await rm(this.directory, { recursive: true, force: true });
  }

  /** Starts a command without waiting; `done` waits for its end. */
  start(
    args: readonly string[],
    wrapper: readonly string[] = [],
  ): { child: ChildProcess; done: Promise<Finished> } {
    const [command, ...rest] = [...wrapper, process.execPath, MAIN, ...args];
    const child = spawn(command!, rest, {
      cwd: this.directory,
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, NO_COLOR: "1", TMPDIR: this.path("tmp") },
    });
    let stdout = "";
    let stderr = "";
    child.stdout!.setEncoding("utf8").on("data", (text: string) => (stdout += text));
    child.stderr!.setEncoding("utf8").on("data", (text: string) => (stderr += text));
    const done = new Promise<Finished>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (status) => resolve({ status, stdout, stderr }));
    });
    return { child, done };
  }

  run(args: readonly string[], wrapper: readonly string[] = []): Promise<Finished> {
    return this.start(args, wrapper).done;
  }

  /** Runs with `--json`, expects success, and gives the lines; the last one is `done`. */
  async json(args: readonly string[]): Promise<{ lines: JsonLine[]; done: JsonLine }> {
    const finished = await this.run([...args, "--json"]);
    expect(finished, finished.stderr).toMatchObject({ status: 0 });
    const lines = jsonLines(finished.stdout);
    const done = lines.at(-1)!;
    expect(done.event).toBe("done");
    return { lines, done };
  }

  /** SHA-256 of the tensors of a run's checkpoint. */
  async tensorsHash(run: string, name = "last"): Promise<string> {
    const folder = this.path(run, "checkpoints", name);
    const files = (await readdir(folder)).filter((file) => file.endsWith(".safetensors"));
    expect(files).toHaveLength(1);
    return createHash("sha256")
      .update(await readFile(join(folder, files[0]!)))
      .digest("hex");
  }

  /** Every file under a folder with the hash of its bytes. */
  async snapshot(folder: string): Promise<Record<string, string>> {
    const entries = await readdir(this.path(folder), { recursive: true, withFileTypes: true });
    const files: Record<string, string> = {};
    for (const entry of entries) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      files[path] = createHash("sha256")
        .update(await readFile(path))
        .digest("hex");
    }
    return files;
  }
}

/** Every line of a text as JSON; fails on a line that is not. */
export function jsonLines(text: string): JsonLine[] {
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as JsonLine);
}

/** Pseudorandom numbers in [0, 1), the same in every run. */
export function numbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}
