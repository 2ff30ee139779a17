/** @file Reading sources: compression by content, encodings, streams, failures, and memory. */
import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable } from "node:stream";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { readFasta } from "../../../../src/protein/fasta/fasta.ts";

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
    ["JSON", '{"id": "a", "sequence": "MKV"}\n'],
  ];

  test.each(starts)("%s is named, plain, compressed and byte by byte", async (what, text) => {
    const error = { code: "FASTA_OTHER_FORMAT", message: expect.stringContaining(what) };
    await expect(readContent(text)).rejects.toMatchObject(error);
    await expect(readContent(gzipSync(text))).rejects.toMatchObject(error);
    const bytes = Array.from(Buffer.from(text), (byte) => Buffer.of(byte));
    await expect(read(Readable.from(bytes))).rejects.toMatchObject(error);
  });

  test("names and sequences that look like them are read", async () => {
    for (const text of [">LOCUS 1\nMKV\n", "\n\n >CLUSTAL W\nMKV\n", "\ufeff>@HD\nMKV\n", ";ID   x\nMKV\n"]) {
      expect((await readContent(text)).map((line) => line.split(":")[1])).toEqual(["MKV"]);
    }
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
