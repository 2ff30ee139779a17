/** @file The head of a FAE file: read back as it was, and refused in words where its checksum holds but nothing else does. */
import { crc32 } from "node:zlib";
import { expect, test } from "vitest";
import {
  decodeFaeHead,
  encodeFaeHead,
  type FaeHeader,
} from "../../../../../src/recsys/strategies/fae/faeHeader.ts";

const header: FaeHeader = {
  datasetHash: "f00d",
  config: { hot: "topk", budgetBytes: 1024, rowBytes: 64, sampleRate: 0.05, seed: 0 },
  tableSizes: [10, 20],
  hotRows: 3,
  threshold: null,
  sampledInputs: 100,
  accessShare: 0.5,
  hotInputs: 60,
  coldInputs: 40,
  seconds: { sample: 1, select: 2, partition: 3 },
  files: [{ path: "hot/rows.bin", sizeBytes: 7, crc32: 1 }],
};
const rows = Uint32Array.of(5, 1, 29);

/** A head of other JSON, with a checksum that holds. */
function headOf(json: string, change: (head: Buffer) => void = () => {}): Buffer {
  const padded = Math.ceil(json.length / 4) * 4;
  const head = Buffer.alloc(16 + padded + 4 * rows.length + 4, " ");
  head.write("PARETFAE", 0, "latin1");
  head.writeUInt32LE(1, 8);
  head.writeUInt32LE(padded, 12);
  head.write(json, 16);
  change(head);
  head.writeUInt32LE(crc32(head.subarray(0, -4)), head.length - 4);
  return head;
}

test("comes back", () => {
  expect(decodeFaeHead(encodeFaeHead(header, rows))).toEqual({ header, rows });
});

test.each([
  ["no JSON", headOf("{]"), "header is not JSON"],
  ["null", headOf("null"), "header is wrong at its top level"],
  ["a size in words", headOf(JSON.stringify({ ...header, tableSizes: ["ten"] })), "wrong at tableSizes[0]: "],
  [
    "more rows than it holds",
    headOf(JSON.stringify({ ...header, hotRows: 2 ** 40 })),
    "names 1099511627776 hot rows",
  ],
  [
    "a header beyond its end",
    headOf("{}", (head) => head.writeUInt32LE(0xfffffff0, 12)),
    "should end at byte",
  ],
])("that holds %s is named", (_, head, problem) => {
  expect(decodeFaeHead(head)).toEqual({ problem: expect.stringContaining(problem) as string });
});
