/** @file `pareto protein`: train on made-up families, classify what biologists have, export. */
import { readFile, writeFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import * as ort from "onnxruntime-node";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Rng } from "../../src/base/rng.ts";
import { encodeResidues } from "../../src/protein/alphabet.ts";
import { fastaText, madeRecords, writeFamilies, type MadeRecord } from "../support/protein/madeFamilies.ts";
import { randomResidues } from "../support/protein/sequences.ts";
import { type Finished, type JsonLine, jsonLines, Workspace } from "./cli.ts";

const TRAIN = [
  "protein",
  "train",
  "families",
  "--length",
  "64",
  "--batch-size",
  "48",
  "--lr",
  "0.005",
  "--epochs",
  "2",
  "--threads",
  "2",
];

let work: Workspace;
let records: MadeRecord[];
let trained: { lines: JsonLine[]; done: JsonLine };
beforeAll(async () => {
  work = await Workspace.create();
  // The last 30 of each family are for classification only.
  const all = madeRecords(3, 3, 230);
  const held = new Set(all.filter((_, i) => i % 230 >= 200));
  records = [...held];
  await writeFamilies(
    work.path("families"),
    all.filter((record) => !held.has(record)),
  );
  await writeFile(work.path("new.fa"), fastaText(records));
  trained = await work.json([...TRAIN, "--out", "run"]);
});
afterAll(() => work?.remove());

/** Runs `classify` with a file as standard input. */
const piped = (file: string, args: readonly string[]): Promise<Finished> =>
  work.run(["protein", "classify", "-", ...args], ["sh", "-c", `exec "$@" < ${file}`, "sh"]);

const rows = (text: string): string[][] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => line.split("\t"));

describe("train", () => {
  it("ends with the figures of the test part, and says what it saved", async () => {
    const { done, lines } = trained;
    expect(done).toMatchObject({
      finished: true,
      run: "run",
      network: "profamnet",
      split: "random",
      families: 3,
      rows: 60,
      parameters: 441_536 + 129 * 3,
      weightBytes: 4 * (441_536 + 129 * 3),
      sequences: { train: 480, validation: 60, test: 60 },
    });
    for (const name of ["accuracy", "macroF1", "weightedF1", "top3"]) {
      expect(done[name], name).toBeGreaterThan(0.9);
      expect(done[name], name).toBeLessThanOrEqual(1);
    }
    expect(done["calibrationError"]).toBeLessThan(0.3);
    expect(done["sequencesPerSecond"]).toBeGreaterThan(10);
    expect(lines.filter(({ event, part }) => event === "metrics" && part === "validation")).toHaveLength(2);
    const config = JSON.parse(await readFile(work.path("run", "model", "config.json"), "utf8")) as object;
    expect(config).toMatchObject({
      families: ["fam0", "fam1", "fam2"],
      threshold: done["threshold"],
      length: 64,
      trained: { split: "random", test: { macroF1: done["macroF1"] } },
    });
  });

  it("writes a report with curves, the table of families and the confusions", async () => {
    const page = await readFile(work.path("run", "report.html"), "utf8");
    for (const text of [
      "Macro-F1 (test)",
      "Quality by family",
      "fam1",
      "macroF1-by-step",
      "logLoss-by-step",
      "protein.threshold",
    ]) {
      expect(page).toContain(text);
    }
  });

  it("prints the layers of the network of 73 families", async () => {
    const { status, stdout } = await work.run(["protein", "train", "--summary"]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/lstm .* 263,168/);
    expect(stdout).toMatch(/sum .* 450,953/);
  });

  it("measures k-mers on the same sequences, without a network", async () => {
    const { done } = await work.json([
      "protein",
      "train",
      "families",
      "--model",
      "logistic",
      "--out",
      "kmers",
    ]);
    expect(done).toMatchObject({ model: "logistic", split: "random", rows: 60, families: 3, run: "kmers" });
    expect(done["macroF1"]).toBeGreaterThan(0.5);
    const result = JSON.parse(await readFile(work.path("kmers", "result.json"), "utf8")) as object;
    expect(result).toMatchObject({ name: "logistic", test: { macroF1: done["macroF1"] } });
  });

  it("says what is wrong with sources and options, and leaves no folder behind", async () => {
    await writeFile(work.path("one.fa"), ">a\nMKV\n");
    const cases: [string[], string][] = [
      [["protein", "train"], "CLI_SOURCE"],
      [["protein", "train", "nowhere", "--out", "none"], "FILE_MISSING"],
      [["protein", "train", "one.fa", "--out", "none"], "PROTEIN_ONE_FAMILY"],
      [["protein", "train", "new.fa", "--family-from", "header", "--out", "none"], "PROTEIN_NO_FAMILY"],
      [["protein", "train", "families", "--split", "time"], "CLI_OPTION"],
      [["protein", "train", "families", "--model", "hmm"], "CLI_OPTION"],
      [["protein", "train", "families", "--out", "run"], "RUN_EXISTS"],
      [["protein", "train", "families", "--model", "logistic", "--out", "run"], "RUN_EXISTS"],
      [["protein", "train", "families", "--model", "logistic", "--resume", "run"], "CLI_OPTION"],
      [["protein", "train", "families", "--model", "logistic", "--epochs", "3"], "CLI_OPTION"],
      [["protein", "train", "families", "--model", "logistic", "--summary"], "CLI_OPTION"],
      [["protein", "train", "families", "--precision", "tf32", "--out", "none"], "CLI_OPTION"],
      [["protein", "train", "--resume", "run", "--out", "none"], "CLI_OPTION"],
      [["protein", "train", "--resume", "run", "--lr", "0.1"], "RESUME_CONFIG"],
    ];
    for (const [args, code] of cases) {
      const { status, stderr } = await work.run(args);
      expect(stderr, args.join(" ")).toContain(`error ${code}`);
      expect(status, args.join(" ")).toBe(2);
    }
    await expect(readFile(work.path("none", "run.json"))).rejects.toMatchObject({ code: "ENOENT" });
  });
});

describe("classify", () => {
  it("names the family of each record, in their order, with probabilities", async () => {
    const { status, stdout } = await work.run(["protein", "classify", "new.fa", "--model", "run"]);
    expect(status).toBe(0);
    const [head, ...lines] = rows(stdout);
    expect(head).toEqual([
      "query_id",
      "length",
      "rank",
      "family",
      "probability",
      "candidate",
      "windows",
      "status",
      "model",
      "message",
    ]);
    expect(lines.map(([id]) => id)).toEqual(records.map(({ id }) => id));
    expect(lines.map(([, length]) => Number(length))).toEqual(records.map(({ residues }) => residues.length));
    const right = lines.filter(([, , , , , candidate], i) => candidate === records[i]!.family);
    expect(right.length / records.length).toBeGreaterThan(0.9);
    for (const [, , rank, family, probability, candidate, , status_] of lines) {
      expect(rank).toBe("1");
      expect(family).toBe(status_ === "unknown" ? "unknown" : candidate);
      expect(Number(probability)).toBeGreaterThan(0.3);
      expect(Number(probability)).toBeLessThanOrEqual(1);
    }
  });

  it("reads standard input, gzip and any batch and thread count alike", async () => {
    await writeFile(work.path("new.fa.gz"), gzipSync(await readFile(work.path("new.fa"))));
    const model = ["--model", "run"];
    const plain = await work.run(["protein", "classify", "new.fa", ...model]);
    for (const other of [
      await piped("new.fa", model),
      await piped("new.fa.gz", model),
      await work.run(["protein", "classify", "new.fa", "--threads", "1", ...model]),
      await work.run(["protein", "classify", "new.fa", "--out", "out.tsv", ...model]).then(async (done) => ({
        ...done,
        stdout: done.stdout + (await readFile(work.path("out.tsv"), "utf8")),
      })),
    ]) {
      expect(other).toMatchObject({ status: 0, stdout: plain.stdout });
    }
    const small = await work.run(["protein", "classify", "new.fa", "--batch", "5", ...model]);
    expect(rows(small.stdout).map(([id, , , family]) => [id, family])).toEqual(
      rows(plain.stdout).map(([id, , , family]) => [id, family]),
    );
  });

  it("lists the most probable families, as TSV and as JSON lines", async () => {
    const args = ["protein", "classify", "new.fa", "--model", "run", "--top", "3"];
    const [, ...lines] = rows((await work.run(args)).stdout);
    expect(lines).toHaveLength(3 * records.length);
    for (let i = 0; i < lines.length; i += 3) {
      const own = lines.slice(i, i + 3);
      expect(own.map(([, , rank]) => rank)).toEqual(["1", "2", "3"]);
      expect(own.map(([, , , , , candidate]) => candidate).sort()).toEqual(["fam0", "fam1", "fam2"]);
      const total = own.reduce((sum, [, , , , p]) => sum + Number(p), 0);
      expect(total).toBeCloseTo(1, 4);
    }
    const { lines: json, done } = await work.json(args);
    const found = json.filter(({ event }) => event === "classification");
    expect(found.map(({ id }) => id)).toEqual(records.map(({ id }) => id));
    expect(found[0]!["candidates"]).toHaveLength(3);
    expect(done).toMatchObject({ records: records.length, bad: 0 });
    // A threshold of one's own cuts the list and decides what is unknown.
    const cut = rows((await work.run([...args, "--min-prob", "1", "--no-header"])).stdout);
    expect(cut.filter(([, , , family]) => family === "unknown").length).toBeGreaterThan(0);
    expect(cut.filter(([, , rank]) => rank !== "1")).toEqual([]);
  });

  it("writes InterProScan's columns for known families", async () => {
    const args = ["protein", "classify", "new.fa", "--model", "run", "--format", "interpro"];
    const lines = rows((await work.run(args)).stdout);
    expect(lines.length).toBeGreaterThan(records.length / 2);
    for (const cells of lines) {
      expect(cells).toHaveLength(13);
      const [id, md5, length, analysis, family, , start, stop, score, status_, date] = cells;
      expect(records.map((record) => record.id)).toContain(id);
      expect(md5).toMatch(/^[0-9a-f]{32}$/);
      expect([analysis, start, stop, status_]).toEqual(["Pareto", "1", length, "T"]);
      expect(family).toMatch(/^fam\d$/);
      expect(Number(score)).toBeGreaterThan(0);
      expect(date).toMatch(/^\d\d-\d\d-\d{4}$/);
    }
  });

  it("gives the window that a family was found in, not the whole protein", async () => {
    // A domain at residue 401 of 600; the model reads 64 residues, its windows start at 0, 32, 64, ….
    const rng = new Rng(11);
    const noise = randomResidues(rng, 600);
    const domain = records.find(({ residues }) => residues.length <= 64)!.residues;
    const whole = `${noise.slice(0, 400)}${domain}${noise.slice(400)}`;
    await writeFile(work.path("inside.fa"), `>whole\n${whole}\n`);
    const args = ["protein", "classify", "inside.fa", "--model", "run", "--min-prob", "1e-9"];
    const [cells] = rows((await work.run([...args, "--format", "interpro"])).stdout);
    const [start, stop] = [Number(cells![6]), Number(cells![7])];
    expect(cells![2]).toBe(String(whole.length));
    expect((start - 1) % 32).toBe(0);
    expect(stop).toBe(Math.min(whole.length, start + 63));
    const { lines } = await work.json(args);
    expect(lines.find(({ event }) => event === "classification")!["candidates"]).toMatchObject([
      { family: cells![4], start, end: stop },
    ]);
    // That window alone has the same probability.
    await writeFile(work.path("cut.fa"), `>cut\n${whole.slice(start - 1, stop)}\n`);
    const [alone] = rows(
      (await work.run([...args.slice(0, 2), "cut.fa", ...args.slice(3), "--no-header"])).stdout,
    );
    expect([alone![3], Number(alone![4]).toFixed(4)]).toEqual([cells![4], Number(cells![8]).toFixed(4)]);
  });

  it("writes what stands before the end of a file that is cut off, then exits with 2", async () => {
    const text = Array.from({ length: 400 }, (_, i) => `>p${i}\n${records[i % records.length]!.residues}\n`);
    const packed = gzipSync(text.join(""));
    await writeFile(work.path("cut.fa.gz"), packed.subarray(0, packed.length - 100));
    const args = ["protein", "classify", "cut.fa.gz", "--model", "run"];
    const plain = await work.run(args);
    expect(plain.status).toBe(2);
    expect(plain.stderr).toContain("error FASTA_COMPRESSION: the gzip data is cut off");
    const written = rows(plain.stdout);
    expect(written.length).toBeGreaterThan(200);
    expect(written.length).toBeLessThan(401);
    const toFile = await work.run([...args, "--out", "before.tsv"]);
    expect(toFile.status).toBe(2);
    expect(await readFile(work.path("before.tsv"), "utf8")).toBe(plain.stdout);
    await writeFile(work.path("tail.fa.gz"), Buffer.concat([gzipSync(text[0]!), Buffer.from("and more")]));
    const tail = await work.run(["protein", "classify", "tail.fa.gz", "--model", "run"]);
    expect(tail.status).toBe(0);
    expect(rows(tail.stdout)).toHaveLength(2);
    expect(tail.stderr).toMatch(/warning: .*bytes behind its gzip data/);
  });

  it("says where the network looked", async () => {
    const args = ["protein", "classify", "new.fa", "--model", "run", "--attention", "looks.tsv"];
    expect((await work.run(args)).status).toBe(0);
    const [head, ...lines] = rows(await readFile(work.path("looks.tsv"), "utf8"));
    expect(head).toEqual(["query_id", "start", "end", "weight", "residues"]);
    const byId = new Map(records.map(({ id, residues }) => [id, residues]));
    const weights = new Map<string, number>();
    for (const [id, start, end, weight, residues] of lines as string[][]) {
      expect(residues).toBe(byId.get(id!)!.slice(Number(start) - 1, Number(end)));
      weights.set(id!, (weights.get(id!) ?? 0) + Number(weight));
    }
    expect(weights.size).toBeGreaterThan(records.length / 2);
    for (const weight of weights.values()) expect(weight).toBeLessThan(1.0001);
  });

  it("takes a file with everything that files have, and tells of what it cannot use", async () => {
    const [first] = records as [MadeRecord];
    const rng = new Rng(4);
    const long = randomResidues(rng, 40_000);
    const text = [
      `>wrapped first of all\r\n${first.residues.replaceAll(/.{7}/g, "$&\r\n")}\r\n`,
      `>lower\n\n${first.residues.toLowerCase()}*\n\n`,
      `>gaps\n--${first.residues.slice(0, 9)}..--${first.residues.slice(9)}-\n`,
      ">odd\nMKXUBZJO\n",
      ">one\nM\n",
      `>long\n${long}\n`,
      ">empty\n",
      ">stop\nMK*VL\n",
      `>wrapped\n${first.residues}\n`,
    ].join("");
    await writeFile(work.path("torture.fa"), text);
    const { status, stdout, stderr } = await piped("torture.fa", ["--model", "run"]);
    expect(status).toBe(0);
    const [, ...lines] = rows(stdout);
    expect(lines.map(([id]) => id)).toEqual([
      "wrapped",
      "lower",
      "gaps",
      "odd",
      "one",
      "long",
      "empty",
      "stop",
      "wrapped",
    ]);
    const cellsOf = (place: number) => lines[place]!;
    // However it is written, it is the same sequence.
    for (const same of [1, 2, 8]) expect(cellsOf(same).slice(1)).toEqual(cellsOf(0).slice(1));
    expect(cellsOf(4)[1]).toBe("1");
    expect(cellsOf(5).slice(1, 2)).toEqual(["40000"]);
    expect(Number(cellsOf(5)[6])).toBe(1 + Math.ceil((40_000 - 64) / 32));
    expect(cellsOf(6)[7]).toBe("FASTA_EMPTY");
    expect(cellsOf(7)[7]).toBe("FASTA_INNER_STOP");
    for (const cells of lines) expect(cells).toHaveLength(10);
    expect(stderr).toMatch(/warning: .*wrapped/);
    expect(stderr).toContain("9 records");
  });

  it("refuses what it cannot do", async () => {
    await writeFile(work.path("nothing.fa"), "\n\n");
    await writeFile(work.path("reads.fq"), "@r1\nACGTACGT\n+\nIIIIIIII\n");
    const cases: [string[], string][] = [
      [["new.fa", "--model", "nowhere"], "PROTEIN_MODEL_MISSING"],
      [["nowhere.fa", "--model", "run"], "FILE_MISSING"],
      [["nothing.fa", "--model", "run"], "FASTA_NO_RECORD"],
      [["reads.fq", "--model", "run"], "FASTA_OTHER_FORMAT"],
      [["new.fa", "--model", "run", "--top", "0"], "CLI_OPTION"],
      [["new.fa", "--model", "run", "--min-prob", "2"], "CLI_OPTION"],
      [["new.fa", "--model", "run", "--format", "xml"], "CLI_OPTION"],
      [["new.fa", "--model", "run", "--json", "--format", "tsv"], "CLI_OPTION"],
    ];
    for (const [args, code] of cases) {
      const { status, stderr } = await work.run(["protein", "classify", ...args]);
      expect(stderr, args.join(" ")).toContain(`error ${code}`);
      expect(status, args.join(" ")).toBe(2);
    }
  });
});

describe("evaluate", () => {
  it("measures a model on sequences that it was not trained on, and says which are unknown", async () => {
    await writeFamilies(work.path("held"), records);
    const { done, lines } = await work.json(["protein", "evaluate", "run", "held"]);
    expect(done).toMatchObject({ known: { sequences: 90, families: 3 }, others: null });
    expect(done["accuracy"]).toBeGreaterThan(0.9);
    expect(done["threshold"]).toBe(trained.done["threshold"]);
    expect(lines.some(({ event, task }) => event === "progress" && task === "evaluate")).toBe(true);
    const { status, stdout } = await work.run(["protein", "evaluate", "run", "held", "--min-prob", "1"]);
    expect(status).toBe(0);
    expect(stdout).toMatch(/^accuracy [\d.]+, macro-F1 .* on 90 sequences of 3 families$/m);
    expect(stdout).toMatch(/^unknown {2}\d+\.\d % of them, below a probability of 1\.0+$/m);
  });

  it("refuses sequences of families that the model does not know", async () => {
    await writeFile(work.path("strange.fa"), fastaText(records.slice(0, 3)));
    const { status, stderr } = await work.run(["protein", "evaluate", "run", "strange.fa"]);
    expect(status).toBe(2);
    expect(stderr).toContain("PROTEIN_NO_KNOWN_FAMILY");
  });
});

describe("export", () => {
  it("writes a model that answers as classify does, at any batch size", async () => {
    const { done } = await work.json(["protein", "export", "run", "--onnx", "model.onnx"]);
    expect(done["files"]).toEqual(["model.onnx"]);
    const { lines } = await work.json(["protein", "classify", "new.fa", "--model", "run", "--top", "3"]);
    const session = await ort.InferenceSession.create(work.path("model.onnx"));
    for (const count of [1, 7]) {
      const chosen = records.filter(({ residues }) => residues.length <= 64).slice(0, count);
      const ids = new Int32Array(count * 64);
      chosen.forEach(({ residues }, i) => ids.set(encodeResidues(residues), 64 * i));
      const lengths = Int32Array.from(chosen, ({ residues }) => residues.length);
      const answer = await session.run({
        ids: new ort.Tensor("int32", ids, [count, 64]),
        lengths: new ort.Tensor("int32", lengths, [count]),
      });
      const { probabilities, attention } = answer;
      expect(probabilities!.dims).toEqual([count, 3]);
      expect(attention!.dims).toEqual([count, 16]);
      chosen.forEach(({ id }, i) => {
        const line = lines.find((one) => one.event === "classification" && one["id"] === id)!;
        for (const { family, probability } of line["candidates"] as {
          family: string;
          probability: number;
        }[]) {
          const c = Number(family.slice(3));
          expect((probabilities!.data as Float32Array)[3 * i + c]).toBeCloseTo(probability, 5);
        }
      });
    }
  });
});

describe("resume", () => {
  it("goes on after Ctrl-C and comes to the model of an unbroken run", async () => {
    const { child, done } = work.start([...TRAIN, "--epochs", "6", "--out", "broken", "--json"]);
    let heard = "";
    await new Promise<void>((resolve) => {
      child.stdout!.on("data", (text: string) => {
        heard += text;
        if (heard.includes('"part":"validation"')) resolve();
      });
    });
    child.kill("SIGINT");
    const { status, stdout } = await done;
    const last = jsonLines(stdout).at(-1)!;
    // On a fast machine the run may have ended before the signal came.
    if (status === 130) {
      expect(last).toMatchObject({ event: "done", finished: false });
      await work.json(["protein", "train", "--resume", "broken"]);
    } else expect(last).toMatchObject({ event: "done", finished: true });
    await work.json([...TRAIN, "--epochs", "6", "--out", "whole"]);
    const weights = (run: string) => readFile(work.path(run, "model", "weights.safetensors"));
    expect(Buffer.compare(await weights("broken"), await weights("whole"))).toBe(0);
  });
});
