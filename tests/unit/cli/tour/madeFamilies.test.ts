import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { writeMadeFamilies } from "../../../../src/cli/tour/madeFamilies.ts";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "pareto-made-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const read = (name: string) => readFile(join(folder, name), "utf8");

it("makes one FASTA file a family, the same for the same seed, of distant relatives", async () => {
  for (const name of ["a", "b"])
    await writeMadeFamilies(join(folder, name), {
      families: 2,
      members: 5,
      relatives: "distant",
      seed: 3,
    });
  expect((await readdir(join(folder, "a"))).sort()).toEqual(["family0.fasta", "family1.fasta"]);
  const text = await read("a/family0.fasta");
  expect(text).toBe(await read("b/family0.fasta"));
  expect(text).not.toBe(await read("a/family1.fasta"));
  const members = text
    .trimEnd()
    .split(/^>.*\n/m)
    .slice(1);
  expect(members).toHaveLength(5);
  expect(new Set(members).size).toBe(5);
  for (const member of members) expect(member.trim()).toMatch(/^[ACDEFGHIKLMNPQRSTVWY]{50,170}$/);
});

/** Mean share of a pair's 3-mers that both have, over the pairs of a family's members. */
function sharedThreeMers(text: string): number {
  const kmers = text
    .split(/^>.*\n/m)
    .slice(1)
    .map((member) => new Set(Array.from(member.trim().slice(2), (_, i) => member.trim().slice(i, i + 3))));
  const shares = kmers.flatMap((a, i) =>
    kmers.slice(i + 1).map((b) => a.intersection(b).size / Math.min(a.size, b.size)),
  );
  return shares.reduce((sum, share) => sum + share, 0) / shares.length;
}

it("makes closer relatives more alike", async () => {
  const shared = async (relatives: "distant" | "close") => {
    await writeMadeFamilies(join(folder, relatives), { families: 1, members: 30, relatives, seed: 4 });
    return sharedThreeMers(await read(`${relatives}/family0.fasta`));
  };
  expect(await shared("close")).toBeGreaterThan(1.5 * (await shared("distant")));
});
