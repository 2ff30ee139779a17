/** @file From files to labelled sets: where families come from, what is left out, and how the cap draws. */
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { Rng } from "../../../../src/base/rng.ts";
import { readFamilies } from "../../../../src/protein/families/families.ts";
import {
  familyOfHeader,
  proteinOfId,
  speciesOfHeader,
} from "../../../../src/protein/families/familyOfHeader.ts";
import { randomResidues, residueText } from "../../../support/protein/sequences.ts";

let root: string;
let folder: string;
let folders = 0;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-families-test-"));
});
beforeEach(async () => {
  folder = join(root, `${folders++}`);
  await mkdir(folder);
});
afterAll(() => rm(root, { recursive: true, force: true }));

/** Writes a file of random records to the folder of this test. @returns its records' sequences */
async function write(name: string, count: number, seed: number, extra = ""): Promise<string[]> {
  const rng = new Rng(seed);
  const residues = Array.from({ length: count }, () => randomResidues(rng, 20 + rng.integer(30)));
  const text = residues.map((r, i) => `>P${seed}X${i}_HUMAN/1-${r.length}\n${r}\n`).join("") + extra;
  await writeFile(join(folder, name), name.endsWith(".gz") ? gzipSync(text) : text);
  return residues;
}

describe("families from files", () => {
  test("a file is a family, called by its name; other files of the folder do not count", async () => {
    await write("glob.fa.gz", 12, 1);
    await write("zf-CCHH.fasta", 11, 2);
    await writeFile(join(folder, "LICENSE.txt"), "not FASTA");
    await mkdir(join(folder, "sub.fa"));
    const { set, report } = await readFamilies([folder], { familyFrom: "file", seed: 1 });
    expect(set.families).toEqual(["glob", "zf-CCHH"]);
    expect(report).toMatchObject({ files: 2, records: 23, distinct: 23, ambiguous: 0, withoutFamily: 0 });
    expect([...set.labels]).toEqual([...Array(12).fill(0), ...Array(11).fill(1)]);
    expect(set.names[0]).toMatch(/^P1X0_HUMAN\/1-\d+$/);
    expect(new Set(set.species)).toEqual(new Set(["HUMAN"]));
  });

  test("equal sequences count once, whatever their writing, and the first header wins", async () => {
    await write("a.fa", 10, 1, ">first_MOUSE/1-9\nACDEFGHIK\n>second\nacd-efg\nhik*\n>third\nACDEFGHIKL\n");
    await write("b.fa", 10, 2);
    const { set, report } = await readFamilies([folder], { familyFrom: "file", seed: 1 });
    expect(report).toMatchObject({ records: 23, distinct: 22 });
    expect(set.names.slice(10, 12)).toEqual(["first_MOUSE/1-9", "third"]);
    expect(set.species.slice(10, 12)).toEqual(["MOUSE", ""]);
  });

  test("a sequence that stands in two families is in neither", async () => {
    await write("a.fa", 10, 1, ">x\nACDEFGHIK\n");
    await write("b.fa", 10, 2, ">y\nACDEFGHIK\n>z\nACDEFGHIK\n");
    const { set, report } = await readFamilies([folder], { familyFrom: "file", seed: 1 });
    expect(report).toMatchObject({ ambiguous: 1, distinct: 20 });
    expect(set.count).toBe(20);
  });

  test("bad records are told and left out", async () => {
    await write("a.fa", 10, 1, ">x\nAC*DEF\n>y\n");
    await write("b.fa", 10, 2);
    const { report } = await readFamilies([folder], { familyFrom: "file", seed: 1 });
    expect(report.bad.count).toBe(2);
    expect(report.bad.first.map(({ code, id }) => `${id} ${code}`)).toEqual([
      "x FASTA_INNER_STOP",
      "y FASTA_EMPTY",
    ]);
    expect(report.bad.first[0]!.file).toBe(join(folder, "a.fa"));
  });

  test("small families are left out, and the cap draws by the seed, family by family", async () => {
    await write("a.fa", 50, 1);
    await write("b.fa", 9, 2);
    await write("c.fa", 40, 3);
    const options = { familyFrom: "file", minimum: 10, cap: 20 } as const;
    const { set, report } = await readFamilies([folder], { ...options, seed: 1 });
    expect(report.families).toEqual([
      { name: "a", distinct: 50, kept: 20 },
      { name: "c", distinct: 40, kept: 20 },
    ]);
    expect(report.tooSmall).toEqual([{ name: "b", distinct: 9 }]);
    const again = await readFamilies([folder], { ...options, seed: 1 });
    expect(again.set).toEqual(set);
    const other = await readFamilies([folder], { ...options, seed: 2 });
    expect(other.set.names).not.toEqual(set.names);
    // Another family beside them does not change whom the draw takes.
    await write("aa.fa", 30, 4);
    const more = await readFamilies([folder], { ...options, seed: 1 });
    expect(more.set.names.filter((name) => !name.startsWith("P4X"))).toEqual(set.names);
    const sequences = Array.from({ length: set.count }, (_, row) => residueText(set, row));
    expect(new Set(sequences).size).toBe(set.count);
  });

  test("fewer than two families are refused, and so is a folder without FASTA", async () => {
    await expect(readFamilies([folder], { familyFrom: "file", seed: 1 })).rejects.toMatchObject({
      code: "PROTEIN_NO_FILES",
    });
    await writeFile(join(folder, "a.fa"), "");
    await expect(readFamilies([folder], { familyFrom: "file", seed: 1 })).rejects.toMatchObject({
      code: "PROTEIN_NO_FAMILY",
    });
    await write("a.fa", 10, 1);
    await write("b.fa", 9, 2);
    await expect(readFamilies([folder], { familyFrom: "file", seed: 1 })).rejects.toMatchObject({
      code: "PROTEIN_ONE_FAMILY",
      message: expect.stringMatching(/, got 1 of 2 families$/),
    });
    await expect(readFamilies([join(folder, "no")], { familyFrom: "file", seed: 1 })).rejects.toMatchObject({
      code: "FILE_MISSING",
    });
  });
});

describe("families from headers", () => {
  test("one file holds several, and records without a family are counted", async () => {
    const rng = new Rng(5);
    const records = Array.from(
      { length: 30 },
      (_, i) => `>F${i % 2}|P${i}_HUMAN\n${randomResidues(rng, 30)}`,
    );
    await writeFile(join(folder, "all.fa"), [...records, ">nameless\nACDEFGH"].join("\n"));
    const { set, report } = await readFamilies([join(folder, "all.fa")], { familyFrom: "header", seed: 1 });
    expect(set.families).toEqual(["F0", "F1"]);
    expect(report.withoutFamily).toBe(1);
    await expect(
      readFamilies([join(folder, "all.fa")], { familyFrom: "file", seed: 1 }),
    ).rejects.toMatchObject({ code: "PROTEIN_ONE_FAMILY" });
  });

  test("no header that names a family is refused", async () => {
    await write("a.fa", 10, 1);
    await expect(readFamilies([folder], { familyFrom: "header", seed: 1 })).rejects.toMatchObject({
      code: "PROTEIN_NO_FAMILY",
      message: expect.stringMatching(/, got 10 records with a sequence$/),
    });
  });

  test.each([
    ["PF00042|HBA_HUMAN", "", "PF00042"],
    ["globin|x|y", "description", "globin"],
    ["x1", "family=globin length=9", "globin"],
    ["x1", 'Family="zinc finger" x', "zinc finger"],
    ["x1|family=globin", "", "globin"],
    ["kinase|x1", "family:globin", "globin"],
    ["A0A1Y3_9ARCH/3-59", "A0A1Y3.1 PF00244.21;14-3-3;", "PF00244"],
    ["sp|P69905|HBA_HUMAN", "Hemoglobin OS=Homo sapiens OX=9606", null],
    ["HBA_HUMAN", "subfamily=x", null],
    ["|x", "", null],
    ["HBA_HUMAN", "", null],
    ["P69905", "IPR000971 Globin", "IPR000971"],
    ["P69905|IPR000971|Globin", "", "IPR000971"],
    ["P69905", "interpro=IPR000971;x", "IPR000971"],
  ])("%s %s", (id, description, family) => {
    expect(familyOfHeader(id, description)).toBe(family);
  });
});

test.each([
  ["Q6IVX8_9CARY/37-76", "", "9CARY"],
  ["HBA_HUMAN", "", "HUMAN"],
  ["sp|P69905|HBA_HUMAN", "Hemoglobin OS=Homo sapiens OX=9606 GN=HBA1", "HUMAN"],
  ["P69905", "Hemoglobin OS=Homo sapiens (Human) OX=9606 GN=HBA1", "9606"],
  ["P69905", "Hemoglobin OS=Homo sapiens GN=HBA1", "Homo sapiens"],
  ["NP_000549.1", "hemoglobin subunit alpha [Homo sapiens]", "Homo sapiens"],
  ["seq_1", "", ""],
  ["seq_0123", "of [nothing] much", ""],
])("the species of %s %s", (id, description, species) => {
  expect(speciesOfHeader(id, description)).toBe(species);
});

test("a protein is an id without the place of a domain", () => {
  expect(proteinOfId("Q6IVX8_9CARY/37-76")).toBe("Q6IVX8_9CARY");
  expect(proteinOfId("a/b")).toBe("a/b");
  expect(proteinOfId("x")).toBe("x");
});
