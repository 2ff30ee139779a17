/** @file Reading sources: compression by content, encodings, streams, failures, and memory. */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ParetoError } from "../../../../src/base/errors.ts";
import { Rng } from "../../../../src/base/rng.ts";
import { readFasta, type FastaWarning } from "../../../../src/protein/fasta/fasta.ts";
import { randomResidues } from "../../../support/protein/sequences.ts";

let root: string;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), "pareto-fasta-test-"));
});
afterAll(() => rm(root, { recursive: true, force: true }));

async function read(source: string | Readable): Promise<string[]> {
  const out: string[] = [];
  for await (const record of readFasta(source))
    out.push(`${record.id}:${record.bad ? record.code : record.residues}`);
  return out;
}

async function readContent(content: string | Uint8Array, name = "x.fa"): Promise<string[]> {
  const path = join(root, name);
  await writeFile(path, content);
  return read(path);
}

const TEXT = ">a\nMKV\nLAT\n>b\nACD\n";
const EXPECTED = ["a:MKVLAT", "b:ACD"];

/** A gzip member as BGZF writes it: with an extra field that gives the member's size. */
function bgzfMember(text: string): Buffer {
  const plain = gzipSync(text);
  const size = plain.length + 8;
  const extra = Buffer.from([6, 0, 66, 67, 2, 0, (size - 1) & 255, (size - 1) >> 8]);
  const header = Buffer.from(plain.subarray(0, 10));
  header[3] = 4;
  return Buffer.concat([header, extra, plain.subarray(10)]);
}

describe("compression is known by content, not by name", () => {
  test("gzip with one member and with several, BGZF with its empty last block", async () => {
    expect(await readContent(gzipSync(TEXT), "plain.fa")).toEqual(EXPECTED);
    const cut = TEXT.length - 7;
    const members = Buffer.concat([gzipSync(TEXT.slice(0, cut)), gzipSync(TEXT.slice(cut))]);
    expect(await readContent(members)).toEqual(EXPECTED);
    const blocks = Buffer.concat([
      bgzfMember(TEXT.slice(0, cut)),
      bgzfMember(TEXT.slice(cut)),
      bgzfMember(""),
    ]);
    expect(await readContent(blocks)).toEqual(EXPECTED);
  });

  test("Zstandard, and plain text that is called .gz", async () => {
    expect(await readContent(zstdCompressSync(TEXT))).toEqual(EXPECTED);
    expect(await readContent(TEXT, "plain.fa.gz")).toEqual(EXPECTED);
  });

  test("a gzip stream that comes byte by byte", async () => {
    const bytes = Buffer.concat([bgzfMember(TEXT.slice(0, 6)), gzipSync(TEXT.slice(6)), bgzfMember("")]);
    expect(await read(Readable.from(Array.from(bytes, (byte) => Buffer.from([byte]))))).toEqual(EXPECTED);
  });

  test("data cut off gives the records before the cut, then says so", async () => {
    const text = Array.from(
      { length: 20_000 },
      (_, i) => `>p${i}\n${"ACDEFGHIKL".repeat(1 + (i % 7))}\n`,
    ).join("");
    const bytes = gzipSync(text);
    const seen: string[] = [];
    const reading = (async () => {
      for await (const record of readFasta(Readable.from([bytes.subarray(0, bytes.length / 2)])))
        seen.push(record.id);
    })();
    await expect(reading).rejects.toMatchObject({ code: "FASTA_COMPRESSION" });
    expect(seen.length).toBeGreaterThan(1000);
    const damaged = Buffer.from(bytes);
    damaged.fill(0, 1000, 1100);
    await expect(readContent(damaged)).rejects.toMatchObject({ code: "FASTA_COMPRESSION" });
    await expect(readContent(gzipSync(gzipSync(TEXT)))).rejects.toMatchObject({ code: "FASTA_NOT_TEXT" });
  });
});

describe("compressed data that is not whole", () => {
  /** The ids before the error, the error's code and message, and warnings. */
  async function partOf(bytes: Uint8Array, pieceBytes = 100_000) {
    const found = { ids: [] as string[], error: "", warnings: [] as string[] };
    const pieces = Array.from({ length: Math.ceil(bytes.length / pieceBytes) }, (_, i) =>
      bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes),
    );
    const onWarning = ({ code }: FastaWarning): number => found.warnings.push(code);
    try {
      for await (const { id } of readFasta(Readable.from(pieces), { onWarning })) found.ids.push(id);
    } catch (error) {
      const { code, message } = error as ParetoError;
      found.error = `${code}: ${message}`;
    }
    return found;
  }
  const text = Array.from({ length: 1000 }, (_, i) => `>p${i}\n${randomResidues(new Rng(i), 150)}\n`).join(
    "",
  );
  /** Records of which the next one's header is within so many characters. */
  const wholeIn = (characters: number): number => text.slice(0, characters).split("\n>").length - 1;

  test.each([
    ["gzip", gzipSync(text)],
    ["zstd", zstdCompressSync(text)],
  ])("%s cut off anywhere gives each whole record before the cut", async (name, bytes) => {
    let before = -1;
    for (const share of [0.0005, 0.3, 0.6, 0.9, 0.9999]) {
      const { ids, error } = await partOf(bytes.subarray(0, Math.ceil(bytes.length * share)));
      expect(error).toContain(`FASTA_COMPRESSION: the ${name} data is cut off`);
      expect(ids).toEqual(Array.from(ids, (_, i) => `p${i}`));
      // A Zstandard block is up to 128 KiB, and gives nothing before it is whole.
      const least = share * text.length - (name === "gzip" ? 500 : 131_072);
      expect(ids.length).toBeGreaterThanOrEqual(wholeIn(Math.max(0, least)));
      expect(ids.length).toBeGreaterThanOrEqual(before);
      before = ids.length;
    }
  });

  test("gzip with damage in the middle gives what inflates before it", async () => {
    const bytes = gzipSync(text);
    const damaged = Buffer.from(bytes).fill(0xff, 60_000, 60_050);
    const { ids, error } = await partOf(damaged);
    expect(error).toMatch(/^FASTA_COMPRESSION: the gzip data is damaged, got /);
    expect(ids.length).toBeGreaterThanOrEqual(wholeIn((text.length * 59_000) / bytes.length));
    expect(await partOf(damaged, 500)).toMatchObject({ ids, error });
  });

  test("a wrong checksum and a wrong size are named when all records are given", async () => {
    for (const [place, what] of [
      [8, "checksum"],
      [4, "size"],
    ] as const) {
      const bytes = gzipSync(text);
      bytes[bytes.length - place]! ^= 1;
      const { ids, error } = await partOf(bytes);
      expect(ids).toHaveLength(1000);
      expect(error).toContain(what);
    }
  });

  test("bytes behind the data are left out with a warning, zeros without one", async () => {
    for (const bytes of [gzipSync(TEXT), zstdCompressSync(TEXT)]) {
      for (const pieceBytes of [1000, bytes.length, 7]) {
        const tail = await partOf(Buffer.concat([bytes, Buffer.from("garbage after it")]), pieceBytes);
        expect(tail).toEqual({ ids: ["a", "b"], error: "", warnings: ["FASTA_TRAILING_BYTES"] });
      }
    }
    const padded = await partOf(Buffer.concat([gzipSync(TEXT), Buffer.alloc(512)]));
    expect(padded).toEqual({ ids: ["a", "b"], error: "", warnings: [] });
  });

  test("blocks of bgzip without its last, empty one get a warning", async () => {
    const whole = Buffer.concat([bgzfMember(">a\nMK\n"), bgzfMember(">b\nAC\n"), bgzfMember("")]);
    expect(await partOf(whole)).toEqual({ ids: ["a", "b"], error: "", warnings: [] });
    const cut = whole.subarray(0, whole.length - bgzfMember("").length);
    expect(await partOf(cut)).toEqual({ ids: ["a", "b"], error: "", warnings: ["FASTA_NO_END"] });
  });

  test("several members and frames are read whole, also where one ends with a piece", async () => {
    for (const pack of [gzipSync, zstdCompressSync]) {
      const parts = [pack(">a\nMK"), pack("V\n>b\n"), pack("AC\n")];
      for (const pieceBytes of [1000, parts[0]!.length, 1]) {
        const { ids, error } = await partOf(Buffer.concat(parts), pieceBytes);
        expect({ ids, error }).toEqual({ ids: ["a", "b"], error: "" });
      }
    }
    // Headers with an extra field, a name, a comment and a checksum of their own.
    const member = gzipSync(TEXT);
    const header = Buffer.from(member.subarray(0, 10));
    header[3] = 2 | 4 | 8 | 16;
    const fields = Buffer.concat([
      Buffer.from([3, 0, 9, 9, 9]),
      Buffer.from("name\0comment\0"),
      Buffer.from([1, 2]),
    ]);
    const whole = Buffer.concat([header, fields, member.subarray(10)]);
    expect((await partOf(whole)).ids).toEqual(["a", "b"]);
    expect((await partOf(whole.subarray(0, 20))).error).toContain("cut off");
  });

  test("an error of the source comes after the records before it", async () => {
    const ids: string[] = [];
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Buffer.from(TEXT);
      throw Object.assign(new Error("EIO: i/o error, read"), { code: "EIO" });
    }
    const reading = (async () => {
      for await (const { id } of readFasta(failing())) ids.push(id);
    })();
    await expect(reading).rejects.toMatchObject({ code: "FILE_REFUSED" });
    expect(ids).toEqual(["a"]);
  });
});

describe("what is no FASTA is named", () => {
  test.each([
    ["a ZIP archive", Buffer.from("PK\x03\x04....")],
    ["a bzip2 file", Buffer.from("BZh91AY&SY")],
    ["an xz file", Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0])],
    ["a zero byte at offset 4", Buffer.from("\x7fELF\0\0\0\0\0\0\0")],
    ["a zero byte at offset 0", Buffer.alloc(4096)],
  ])("%s", async (what, bytes) => {
    await expect(readContent(bytes)).rejects.toMatchObject({
      code: "FASTA_NOT_TEXT",
      message: expect.stringContaining(what),
    });
  });

  test("missing files and folders", async () => {
    await expect(read(join(root, "absent.fa"))).rejects.toMatchObject({ code: "FILE_MISSING" });
    await expect(read(root)).rejects.toMatchObject({ code: "FILE_REFUSED" });
  });
});

describe("other formats", () => {
  const starts: [string, string][] = [
    ["PIR (NBRF)", ">P1;CRAB_ANAPL\nALPHA CRYSTALLIN B CHAIN\nMDITIHNPLI*\n"],
    ["PIR (NBRF)", "\ufeff\n>F1;X\n\nMKV*\n"],
    ["FASTQ", "@read1 1:N:0\nACGT\n+\nIIII\n"],
    ["SAM", "@HD\tVN:1.6\n"],
    ["GenBank", "LOCUS       SCU49845     5028 bp    DNA\nORIGIN\n"],
    ["EMBL or UniProt text", "ID   HBA_HUMAN   Reviewed;   142 AA.\n"],
    ["Clustal", "CLUSTAL W (1.82) multiple sequence alignment\n\nA MKV\n"],
    ["Clustal", "\ufeffCLUSTAL O(1.2.4) multiple sequence alignment\n"],
    ["Clustal", "\n\nMUSCLE (3.8) multiple sequence alignment\n"],
    ["Stockholm", "# STOCKHOLM 1.0\n"],
    ["NEXUS", "#NEXUS\n"],
    ["GCG", "!!AA_MULTIPLE_ALIGNMENT 1.0\n"],
    ["PHYLIP", " 3 60\nA  MKV\n"],
    ["GFF", "##gff-version 3\n"],
    ["VCF", "##fileformat=VCFv4.3\n"],
    ["PDB", "HEADER    OXYGEN TRANSPORT\n"],
    ["mmCIF", "data_4HHB\n"],
    ["an HTML page", "<!DOCTYPE html>\n<html>"],
    ["XML", '<?xml version="1.0"?>\n'],
    ["GCG (MSF)", " myfile.msf  MSF: 195  Type: P  Check: 3767  ..\n"],
    ["PHYLIP", "  3 60 I\nA  MKV\n"],
    ["PDB", "REMARK   1 \nATOM      1  N   MET A   1\n"],
    ["mmCIF", "# \n# a comment\ndata_4HHB\n"],
    ["XML", "<uniprot xmlns='x'>\n"],
    ["an HTML page", "<!-- moved -->\n<html>"],
    ["ASN.1", "Seq-entry ::= seq {\n"],
    ["a table separated by tabs", "Entry\tLength\tSequence\nP1\t3\tMKV\n"],
    ["a table separated by commas", 'id,"sequence"\nP1,MKV\n'],
    ["JSON", "[]"],
    ["JSON", '{"id": "a", "sequence": "MKV"}\n'],
  ];

  test.each(starts)("%s is named, plain, compressed and byte by byte", async (what, text) => {
    const error = { code: "FASTA_OTHER_FORMAT", message: expect.stringContaining(what) };
    await expect(readContent(text)).rejects.toMatchObject(error);
    await expect(readContent(gzipSync(text))).rejects.toMatchObject(error);
    const bytes = Array.from(Buffer.from(text), (byte) => Buffer.of(byte));
    await expect(read(Readable.from(bytes))).rejects.toMatchObject(error);
    const utf16 = Buffer.from(`\ufeff${text}`, "utf16le");
    await expect(readContent(utf16)).rejects.toMatchObject(error);
  });

  test("names and sequences that look like them are read", async () => {
    for (const text of [">LOCUS 1\nMKV\n", "\n\n >CLUSTAL W\nMKV\n", "\ufeff>@HD\nMKV\n", ";ID   x\nMKV\n"]) {
      expect((await readContent(text)).map((line) => line.split(":")[1])).toEqual(["MKV"]);
    }
    // A2M and A3M: inserts in lower case, gaps.
    expect(await readContent(">q\nMKVLA\n>h\nM-VklL.A\n")).toEqual(["q:MKVLA", "h:MVKLLA"]);
    // PIR among FASTA is a record that cannot be used; ids that begin alike are read.
    expect(await readContent(">P1 x\nMKV\n>P1;X\nA title\nMKV*\n>P12;\nMK\n")).toEqual([
      "P1:MKV",
      "P1;X:FASTA_PIR",
      "P12;:MK",
    ]);
    // Text of no known format stays a record that cannot be used, and what follows is read.
    expect(await readContent("CLUSTER of proteins\n>a\nMKV\n")).toEqual([":FASTA_NO_HEADER", "a:MKV"]);
    expect(await readContent("MKVLATAG\n")).toEqual([":FASTA_NO_HEADER"]);
  });
});

test("UTF-16 with and without its mark, as some shells of Windows write it", async () => {
  const little = Buffer.from(TEXT.replaceAll("\n", "\r\n"), "utf16le");
  const big = Buffer.from(little).swap16();
  expect(await readContent(Buffer.concat([Buffer.from([0xff, 0xfe]), little]))).toEqual(EXPECTED);
  expect(await readContent(Buffer.concat([Buffer.from([0xfe, 0xff]), big]))).toEqual(EXPECTED);
  expect(await readContent(little)).toEqual(EXPECTED);
  expect(await readContent(big)).toEqual(EXPECTED);
});

test("an empty source has no records", async () => {
  expect(await readContent("")).toEqual([]);
  expect(await read(Readable.from([]))).toEqual([]);
});

test("standard input, plain and gzip, and a reader that stops early", () => {
  const module = new URL("../../../../src/protein/fasta/fasta.ts", import.meta.url).href;
  const script = (stop: string): string =>
    `const { readFasta } = await import(${JSON.stringify(module)});
     for await (const r of readFasta("-")) { console.log(r.id + ":" + r.residues); ${stop} }`;
  const run = (input: string | Uint8Array, stop = ""): string =>
    spawnSync(process.execPath, ["--input-type=module", "-e", script(stop)], { input, encoding: "utf8" })
      .stdout;
  expect(run(TEXT).trim().split("\n")).toEqual(EXPECTED);
  expect(run(gzipSync(TEXT)).trim().split("\n")).toEqual(EXPECTED);
  expect(run(gzipSync(TEXT), "break;").trim().split("\n")).toEqual(EXPECTED.slice(0, 1));
});

test("memory does not grow with the file, nor with one endless sequence", async () => {
  const records = Buffer.from(
    Array.from({ length: 2000 }, (_, i) => `>p${i} x\n${"ACDEFGHIKL".repeat(13)}\n`).join(""),
  );
  const endless = Buffer.from(`${"ACDEFGHIKL".repeat(6)}\n`.repeat(4000));
  const repeat = async (chunk: Buffer, times: number, first: string): Promise<number> => {
    let peak = 0;
    let count = 0;
    async function* chunks(): AsyncGenerator<Buffer> {
      yield Buffer.from(first);
      for (let i = 0; i < times; i++) {
        if (i % 16 === 0) peak = Math.max(peak, process.memoryUsage().rss);
        yield chunk;
      }
    }
    for await (const record of readFasta(Readable.from(chunks()))) {
      count++;
      if (first !== "") expect(record).toMatchObject({ bad: true, code: "FASTA_TOO_LONG" });
    }
    expect(count).toBe(first === "" ? 2000 * times : 1);
    return peak;
  };
  const small = await repeat(records, 100, "");
  const large = await repeat(records, 400, "");
  const single = await repeat(endless, 500, ">chromosome\n");
  expect(Math.max(large, single) - small).toBeLessThan(100 * 2 ** 20);
});
