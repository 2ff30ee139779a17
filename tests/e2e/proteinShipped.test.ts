/** @file `pareto protein classify` with the model that comes with Pareto: whole proteins, and files of nothing usable. */
import { writeFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Workspace } from "./cli.ts";

let work: Workspace;
beforeAll(async () => {
  work = await Workspace.create();
});
afterAll(() => work?.remove());

const rows = (text: string): string[][] =>
  text
    .trimEnd()
    .split("\n")
    .map((line) => line.split("\t"));

describe("a source of which nothing can be used", () => {
  it("gets its lines, and exit status 2", async () => {
    const gene = "ATGGTGCTGTCTCCTGCCGACAAGACCAACGTCAAGGCCGCC";
    const cases = [
      [`>gene\n${gene}\n>none\n`, "FASTA_NUCLEOTIDES", 2],
      ["MKVLATAGMKVLATAG\n", "FASTA_NO_HEADER", 1],
    ] as const;
    for (const [text, code, count] of cases) {
      await writeFile(work.path("unusable.fa"), text);
      const { status, stdout, stderr } = await work.run([
        "protein",
        "classify",
        "unusable.fa",
        "--no-header",
      ]);
      expect(rows(stdout)).toHaveLength(count);
      expect(rows(stdout)[0]![7]).toBe(code);
      expect(stderr).toContain("error FASTA_NOTHING_USABLE");
      expect(status).toBe(2);
    }
  });
});

it("ends well when the reader of its output goes away", async () => {
  const residues = "MKVLATAGERWDSTNPQHYFCI".repeat(8);
  const text = Array.from({ length: 6000 }, (_, i) => `>r${i}\n${residues}\n`).join("");
  await writeFile(work.path("many.fa"), text);
  // A process that ends while its workers compute would be aborted.
  const wrapper = ["bash", "-c", '"$@" | head -2; exit ${PIPESTATUS[0]}', "bash"];
  const { status, stdout, stderr } = await work.run(
    ["protein", "classify", "many.fa", "--threads", "2", "--quiet"],
    wrapper,
  );
  expect(rows(stdout).map(([id]) => id)).toEqual(["query_id", "r0"]);
  expect(stderr).toBe("");
  expect(status).toBe(0);
});

describe("the model that comes with Pareto", () => {
  /** Whole proteins, longer than the network reads where a domain stands behind others. */
  const known: Record<string, [family: string, residues: string]> = {
    HBA_HUMAN: [
      "glob",
      "MVLSPADKTNVKAAWGKVGAHAGEYGAEALERMFLSFPTTKTYFPHFDLSHGSAQVKGHGKKVADALTNAVAHVDDMPNALSALSDLHAHKLRVDPVNFKLLSHCLLVTLAAHLPAEFTPAVHASLDKFLASVSTVLTSKYR",
    ],
    TF3A_XENLA: [
      "zf-CCHH",
      "MGEKALPVVYKRYICSFADCGAAYNKNWKLQAHLCKHTGEKPFPCKEEGCEKGFTSLHHLTRHSLTHTGEKNFTCDSDGCDLRFTTKANMKKHFNRFHNIKICVYVCHFENCGKAFKKHNQLKVHQFSHTQQLPYECPHEGCDKRFSLPSRLKRHEKVHAGYPCKKDDSCSFVGKTWTLYLKHVAECHQDLAVCDVCNRKFRHKDYLRDHQKTHEKERTVYLCPRDGCDRSYTTAFNLRSHIQSFHEEQRPFVCEHAGCGKCFAMKKSLERHSVVHDPEKRKLKEKCPRPKRSLASRLTGYIPPKSKEKNASVSGTEKTDSLVKNKPSGTETNGSLVLDKLTIQ",
    ],
    ANTP_DROME: [
      "hom",
      "MTMSTNNCESMTSYFTNSYMGADMHHGHYPGNGVTDLDAQQMHHYSQNANHQGNMPYPRFPPYDRMPYYNGQGMDQQQQHQVYSRPDSPSSQVGGVMPQAQTNGQLGVPQQQQQPSQQPSQNQQQQQAQQAPQQLQQQLPQVTQQVTHPQQQQQQPVVYASCKLQAAVGGLGMVPEGGSPPLVDQMSGHHMNAQMTLPHHMGHPQAQLGYTDVGVPDVTEVHQNHHNMGMYQQQSGVPPVGAPPQGMMHQGQGPPQMHQGHPGQHTPPSQNPNSQSSGMPSPLYPWMRSQFGKCQERKRGRQTYTRYQTLELEKEFHFNRYLTRRRRIEIAHALCLTERQIKIWFQNRRMKWKKENKTKGEPGSGGEGDEITPPNSPQ",
    ],
  };
  const unknown = {
    GFP_AEQVI:
      "MSKGEELFTGVVPILVELDGDVNGHKFSVSGEGEGDATYGKLTLKFICTTGKLPVPWPTLVTTFSYGVQCFSRYPDHMKRHDFFKSAMPEGYVQERTIFFKDDGNYKTRAEVKFEGDTLVNRIELKGIDFKEDGNILGHKLEYNYNSHNVYIMADKQKNGIKVNFKIRHNIEDGSVQLADHYLPDNTPIGDGPVLLPDNHYLSTQSALSKDPNEKRDHMVLLEFVTAAGITHGMDELYK",
    UBIQ_HUMAN: "MQIFVKTLTGKTITLEVEPSDTIENVKAKIQDKEGIPPDQQRLIFAGKQLEDGRTLSDYNIQKESTLHLVLRLRGG",
  };

  it("names whole proteins by a domain, and calls proteins of other families unknown", async () => {
    const text = [
      ...Object.entries(known).map(([id, [, residues]]) => `>${id}\n${residues}\n`),
      ...Object.entries(unknown).map(([id, residues]) => `>${id}\n${residues}\n`),
    ].join("");
    await writeFile(work.path("whole.fa"), text);
    const { status, stdout } = await work.run(["protein", "classify", "whole.fa", "--no-header"]);
    expect(status).toBe(0);
    expect(rows(stdout).map(([id, , , family]) => [id, family])).toEqual([
      ...Object.entries(known).map(([id, [family]]) => [id, family]),
      ...Object.keys(unknown).map((id) => [id, "unknown"]),
    ]);
    for (const cells of rows(stdout).slice(0, 3)) expect(Number(cells[4])).toBeGreaterThan(0.99);
  });
});
