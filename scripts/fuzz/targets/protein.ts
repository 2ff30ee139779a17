/** @file FASTA, plain and compressed, and the folder of a saved protein model. */
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { Rng } from "../../../src/base/rng.ts";
import { writeSafetensors } from "../../../src/base/writeSafetensors.ts";
import { readFasta } from "../../../src/protein/fasta/fasta.ts";
import { proteinModel } from "../../../src/protein/models/models.ts";
import { proteinParameters } from "../../../src/protein/network/traceProtein.ts";
import { openProteinModel, readProteinWeights } from "../../../src/protein/savedModel.ts";
import { sizeOf } from "../../../src/base/shape.ts";
import { viewBytes } from "../../../src/base/dtype.ts";
import { crc32 } from "node:zlib";
import { singleFiles, type FuzzTarget } from "../target.ts";
import { filesBelow } from "../filesBelow.ts";

const FILE = "input.fa";

const texts = [
  ">a first\nMKVLATAG\nACDEFGHIK\n>b\nMKV*\n",
  ";a comment\n;another\nMKVLA\n;b\nMKV\n",
  "\ufeff>q\r\nM-KV.LA\r\n1 MKV 3\r\n\r\n>sp|P69905|HBA_HUMAN OS=Homo sapiens\rMVLSPADK\r",
  `>long\n${"ACDEFGHIKLMNPQRSTVWY".repeat(20)}\n>x\nBJOUXZ\n`,
];

async function readAll(folder: string): Promise<void> {
  for await (const _ of readFasta(join(folder, FILE), { onWarning: () => undefined, maxResidues: 10_000 }));
}

const words = [
  ">",
  ">P1;X\n",
  ";",
  "*",
  "\0",
  "\r",
  "\r\n",
  "\n>\n",
  "\ufeff",
  "@HD\t",
  "LOCUS ",
  "# STOCKHOLM",
  "\x1f\x8b",
  "\x28\xb5\x2f\xfd",
];

const fasta: FuzzTarget = {
  name: "fasta",
  makeSeeds: async () => [
    ...singleFiles(FILE, texts),
    ...singleFiles(FILE, [Buffer.from(`\ufeff${texts[0]!}`, "utf16le")]),
  ],
  words,
  read: readAll,
};

const packed: FuzzTarget = {
  name: "fasta-compressed",
  makeSeeds: async () => {
    const long = texts.join("").repeat(20);
    return singleFiles(FILE, [
      gzipSync(texts[0]!),
      gzipSync(long),
      Buffer.concat(texts.map((text) => gzipSync(text))),
      zstdCompressSync(long),
      Buffer.concat(texts.map((text) => zstdCompressSync(text))),
    ]);
  },
  words,
  read: readAll,
};

const model: FuzzTarget = {
  name: "protein-model",
  async makeSeeds(scratch) {
    const network = "cnn";
    const parameters = proteinParameters(proteinModel(network, 2));
    const rng = new Rng(1);
    let checksum = 0;
    const tensors = parameters.names.map((name) => {
      const shape = parameters.shapeOf(name);
      const values = Float32Array.from({ length: sizeOf(shape) }, () => rng.uniform());
      checksum = crc32(viewBytes(values), checksum);
      return {
        name,
        dtype: "float32" as const,
        shape,
        async *chunks() {
          yield values;
        },
      };
    });
    await writeSafetensors(join(scratch, "weights.safetensors"), tensors, {});
    const config = {
      format: "pareto-protein-model",
      version: 1,
      pareto: "0.1.0",
      name: "made",
      network,
      families: ["a", "b"],
      alphabet: 1,
      length: 64,
      threshold: 0.5,
      parameters: parameters.names.reduce((sum, name) => sum + sizeOf(parameters.shapeOf(name)), 0),
      trained: { split: "random" },
      weightsCrc32: checksum,
    };
    return [new Map([...(await filesBelow(scratch)), ["config.json", Buffer.from(JSON.stringify(config))]])];
  },
  words: ['"network":"profamnet"', '"F32"', "null"],
  async read(folder) {
    await readProteinWeights(await openProteinModel(folder));
  },
};

/** Readers of proteins. */
export const proteinTargets: readonly FuzzTarget[] = [fasta, packed, model];
