/** @file Bytes to records: every quirk of the format, and random files against what was written. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FastaParser } from "../../../../src/protein/fasta/fastaParser.ts";
import type {
  BadRecord,
  FastaOptions,
  FastaRecord,
  FastaWarning,
} from "../../../../src/protein/fasta/fastaRecord.ts";

type Item = FastaRecord | BadRecord;

/** Parses in chunks of the given sizes, then the rest at once. */
function parse(
  input: string | Uint8Array,
  options: FastaOptions = {},
  chunks: readonly number[] = [],
): Item[] {
  const bytes = typeof input === "string" ? Buffer.from(input) : input;
  const parser = new FastaParser(options);
  const out: Item[] = [];
  let at = 0;
  for (const size of chunks) {
    out.push(...parser.push(bytes.subarray(at, at + size)));
    at += size;
  }
  out.push(...parser.push(bytes.subarray(at)), ...parser.finish());
  return out;
}

const brief = (items: readonly Item[]): string[] =>
  items.map((item) => `${item.line} ${item.id}: ${item.bad ? item.code : item.residues}`);

describe("records", () => {
  test("wrapped and single lines, blank lines and lower case", () => {
    expect(brief(parse(">a one two\nMKV\nlat\n\n\nGG\n>b\nAC\n"))).toEqual(["1 a: MKVLATGG", "7 b: AC"]);
    expect(parse(">a  one two \nMK")[0]).toMatchObject({ id: "a", description: "one two" });
    expect(parse(">a\tone\ttwo\nMK")[0]).toMatchObject({ id: "a", description: "one\ttwo" });
    expect(parse("> a one\nMK")[0]).toMatchObject({ id: "a", description: "one" });
  });

  test("LF, CRLF, CR and mixtures of them, and no line end at the end", () => {
    for (const end of ["\n", "\r\n", "\r"]) {
      expect(brief(parse([">a", "MK", "", "VL", ">b", "AC"].join(end)))).toEqual(["1 a: MKVL", "5 b: AC"]);
    }
    expect(brief(parse(">a\r\nMK\nVL\r>b\r\r\nAC"))).toEqual(["1 a: MKVL", "4 b: AC"]);
  });

  test("gaps, digits, spaces and a stop at the end", () => {
    expect(brief(parse(">a\n  1 MKV--LA 10\n 11 ..GG*\n>b\nMK*\n\n>c\nMK\n*\n"))).toEqual([
      "1 a: MKVLAGG",
      "4 b: MK",
      "7 c: MK",
    ]);
  });

  test("letters beyond the twenty, one residue, 40,000 residues in one line and in many", () => {
    expect(brief(parse(">a\nXBZJUO\n>b\nM\n"))).toEqual(["1 a: XBZJUO", "3 b: M"]);
    const long = "ACDEFGHIKL".repeat(4000);
    expect(parse(`>t\n${long}`)[0]).toMatchObject({ residues: long });
    expect(parse(`>t\n${long.replace(/.{7}/g, "$&\r\n")}`)[0]).toMatchObject({ residues: long });
  });

  test("nothing, blank lines and comments alone are no records", () => {
    for (const text of ["", "\n\r\n \n", "; a comment\n;another\n", "\uFEFF"])
      expect(parse(text)).toEqual([]);
  });

  test("comments count for nothing, and name the sequence after them where no > has been", () => {
    expect(brief(parse("; made by x\n>a\nMK\n; half way\nVL\n"))).toEqual(["2 a: MKVL"]);
    expect(brief(parse(";LCBO - prolactin\n; a sample\nMDSK\nGS*\n\n;TWO\nAC\n>c\nGG"))).toEqual([
      "1 LCBO: MDSKGS",
      "6 TWO: AC",
      "8 c: GG",
    ]);
  });

  test("indented files", () => {
    expect(brief(parse("  >a x\n  MKV\n\tLAT\n \t>b\n\n  ; c\n AC"))).toEqual(["1 a: MKVLAT", "4 b: AC"]);
  });

  test("byte order marks at the start and between joined files", () => {
    expect(brief(parse("\uFEFF>a\nMK\n\uFEFF>b\nVL"))).toEqual(["1 a: MK", "3 b: VL"]);
    expect(brief(parse("\uFEFF;c\n>a\nMK"))).toEqual(["2 a: MK"]);
    expect(parse(Uint8Array.of(62, 97, 10, 0xef, 0xbb, 65))).toMatchObject([{ code: "FASTA_BAD_CHARACTER" }]);
    expect(parse(Uint8Array.of(62, 97, 10, 65, 10, 0xef))).toMatchObject([{ code: "FASTA_BAD_CHARACTER" }]);
  });

  test("headers in UTF-8 and in Latin-1, with control characters, and very long ones", () => {
    expect(parse(">a β-lactamase\nMK")[0]).toMatchObject({ description: "β-lactamase" });
    expect(parse(Buffer.from(">a caf\xe9\nMK", "latin1"))[0]).toMatchObject({ description: "café" });
    expect(parse(">gi|1\u0001gi|2\nMK")[0]).toMatchObject({ id: "gi|1", description: "gi|2" });
    expect(parse(">a\u001b[31mb\u0007 one\u001b[0m\nMK")[0]).toMatchObject({
      id: "a\u001b[31mb\u0007",
      description: "one\u001b[0m",
    });
    const [record] = parse(`>${"a".repeat(10)} ${"b".repeat(200_000)}\nMK`);
    expect(record).toMatchObject({ id: "aaaaaaaaaa", residues: "MK" });
    expect(record!.description.length).toBe(65_536 - 11);
  });
});

describe("bad records stand in their place, and reading goes on", () => {
  test("inner stops, empty records and odd characters", () => {
    const text = ">a\nMK*L\n>b\n>c\n--\n*\n>d\nMK\nV@L\n>e\nMKV>f\nGG\n>g\nMM\n";
    const items = parse(text);
    expect(brief(items)).toEqual([
      "1 a: FASTA_INNER_STOP",
      "3 b: FASTA_EMPTY",
      "4 c: FASTA_EMPTY",
      "7 d: FASTA_BAD_CHARACTER",
      "10 e: FASTA_BAD_CHARACTER",
      "13 g: MM",
    ]);
    expect(items[3]).toMatchObject({ message: expect.stringMatching(/^line 9 .*, got "@"$/) });
    expect(items[4]).toMatchObject({ fix: expect.stringContaining("line break before the >") });
    for (const item of items) if (item.bad) expect(item.fix).toMatch(/\.$/);
  });

  test("text before the first header is one of them", () => {
    const items = parse("\n\nMKVL\nAC\n>a\nGG");
    expect(brief(items)).toEqual(["3 : FASTA_NO_HEADER", "5 a: GG"]);
    expect(items[0]).toMatchObject({ message: expect.stringMatching(/"MKVLAC"$/) });
    expect(brief(parse("@read1\nACGT\n+\nIIII\n"))).toEqual(["1 : FASTA_NO_HEADER"]);
  });

  test("zero bytes and other junk inside a record", () => {
    const junk = Buffer.concat([
      Buffer.from(">a\nMK"),
      Buffer.from([0, 1, 255, 254]),
      Buffer.from("\n>b\nMK"),
    ]);
    expect(brief(parse(junk))).toEqual(["1 a: FASTA_BAD_CHARACTER", "3 b: MK"]);
  });

  test("genes given for proteins, by their letters", () => {
    const dna = "ATGGCCATTGTAATGGGCCGCTGAAAGGGTGCC";
    const text = [
      `>dna\n${dna}`,
      `>rna\n${dna.toLowerCase().replaceAll("t", "u")}`,
      `>codes\n${dna}NNNRYATGC`,
      // A leucine, a repeat and a short peptide are protein.
      `>protein\n${dna}L`,
      `>repeat\n${"AG".repeat(40)}`,
      `>short\n${dna.slice(0, 29)}`,
      `>codes alone\n${"RYSWKMBDHVACG".repeat(4)}`,
    ].join("\n");
    expect(brief(parse(text)).map((line) => line.split(": ")[1]!.slice(0, 17))).toEqual([
      "FASTA_NUCLEOTIDES",
      "FASTA_NUCLEOTIDES",
      "FASTA_NUCLEOTIDES",
      dna.slice(0, 17),
      "AGAGAGAGAGAGAGAGA",
      dna.slice(0, 17),
      "RYSWKMBDHVACGRYSW",
    ]);
  });

  test("more residues than allowed", () => {
    const options = { maxResidues: 10 };
    expect(brief(parse(">a\nACDEFGHIKL\n>b\nACDEF\nGHIKLM\n>c\nAC", options))).toEqual([
      "1 a: ACDEFGHIKL",
      "3 b: FASTA_TOO_LONG",
      "6 c: AC",
    ]);
  });
});

test("warns of digits between residues, once a record, and not of numbers of lines", () => {
  const text = ">a\n1 MKV 3\n4MKVL\nMKV10\n11 A-C 12\n>b\nMK0V\nM12L\n>\nVL7\n>\nVL77A\n";
  for (let size = 0; size < text.length; size++) {
    const warnings: string[] = [];
    const onWarning = ({ code, id, line }: FastaWarning): void => {
      if (code === "FASTA_DIGITS") warnings.push(`${line} ${id}`);
    };
    const items = parse(text, { onWarning }, [size]);
    expect(brief(items).map((line) => line.split(": ")[1])).toEqual(["MKVMKVLMKVAC", "MKVML", "VL", "VLA"]);
    expect(warnings).toEqual(["7 b", "12 sequence_4"]);
  }
});

test("warns of ids seen before and of empty headers, and keeps the records", () => {
  const warnings: FastaWarning[] = [];
  const items = parse(">a\nMK\n>b\nMK\n>a again\nVL\n>\nGG\n>a\n\n", { onWarning: (w) => warnings.push(w) });
  expect(brief(items)).toEqual(["1 a: MK", "3 b: MK", "5 a: VL", "7 sequence_4: GG", "9 a: FASTA_EMPTY"]);
  expect(warnings.map(({ code, id, line }) => `${line} ${code} ${id}`)).toEqual([
    "5 FASTA_DUPLICATE_ID a",
    "7 FASTA_NO_ID sequence_4",
    "9 FASTA_DUPLICATE_ID a",
  ]);
});

describe("random files", () => {
  const noise = fc.constantFrom("", "", "", "", "-", ".", " ", "\t", "7", "\n", "\r\n", "\r", "\n\n");
  const written = fc.record({
    id: fc.stringMatching(/^[A-Za-z0-9_|/.:-]{1,12}$/),
    description: fc.stringMatching(/^([a-z=[\]>;*0-9]{1,8}( [A-Z>;]{1,5})?)?$/),
    residues: fc.array(fc.tuple(fc.constantFrom(..."ACDEFGHIKLMNPQRSTVWYXBZJUO"), fc.boolean(), noise), {
      minLength: 1,
      maxLength: 60,
    }),
    stop: fc.boolean(),
    end: fc.constantFrom("\n", "\r\n", "\r"),
  });
  const chunkSizes = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 60 });

  test("what was written is read, under any wrapping, case, gaps, line ends and chunks", () => {
    fc.assert(
      fc.property(fc.array(written, { maxLength: 8 }), chunkSizes, (records, sizes) => {
        const text = records.map(({ id, description, residues, stop, end }) => {
          const body = residues.map(([letter, lower, gap]) => (lower ? letter.toLowerCase() : letter) + gap);
          return `>${id} ${description}${end}${body.join("")}${stop ? "*" : ""}${end}`;
        });
        const read = parse(text.join(""), {}, sizes);
        expect(read.map(({ id, description }) => ({ id, description }))).toEqual(
          records.map(({ id, description }) => ({ id, description })),
        );
        expect(read.map((item) => (item.bad ? item.code : item.residues))).toEqual(
          records.map(({ residues }) => residues.map(([letter]) => letter).join("")),
        );
      }),
      { numRuns: 500 },
    );
  });

  /** Bytes that the parser has rules for, more often than chance would have them. */
  const byte = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(...Buffer.from(">>;*\n\n\r\r-. 1AKmk@\0"), 0xef, 0xbb, 0xbf) },
    { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }) },
  );

  test("arbitrary bytes never throw, and chunks make no difference", () => {
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 200 }), chunkSizes, (values, sizes) => {
        const bytes = Uint8Array.from(values);
        const whole = parse(bytes);
        expect(parse(bytes, {}, sizes)).toEqual(whole);
        for (const item of whole) if (!item.bad) expect(item.residues).toMatch(/^[A-Z]+$/);
        expect(whole.every((item, i) => i === 0 || item.line > whole[i - 1]!.line)).toBe(true);
      }),
      { numRuns: 2000 },
    );
  });
});
