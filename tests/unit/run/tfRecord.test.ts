/** @file Event files byte for byte as TensorBoard's own package writes them. */
import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { encodeRecord, maskedCrc } from "../../../src/run/tfRecord.ts";

test("the check value of CRC-32C, masked", () => {
  // CRC-32C of these digits is 0xe3069283.
  const crc = 0xe3069283;
  const masked = (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
  expect(maskedCrc(new TextEncoder().encode("123456789"))).toBe(masked);
});

test("a version, a text, the start of a session and scalars", async () => {
  const golden = await readFile(new URL("../../../golden/tensorboard/events.tfevents", import.meta.url));
  const wallTime = 1_796_083_200;
  const records = [
    encodeRecord({ wallTime: wallTime + 0.25, content: "version" }),
    encodeRecord({
      wallTime: wallTime + 0.5,
      content: "summary",
      values: [{ tag: "config/text_summary", text: '{ "précis": 1 }' }],
    }),
    encodeRecord({ wallTime: wallTime + 1.75, step: 301, content: "sessionStart" }),
    encodeRecord({
      wallTime: wallTime + 2,
      step: 300,
      content: "summary",
      values: [
        { tag: "train/log_loss", scalar: 0.4523 },
        { tag: "train/auc", scalar: 0.75 },
      ],
    }),
    encodeRecord({
      wallTime: wallTime + 3,
      step: 2 ** 40,
      content: "summary",
      values: [{ tag: "validation/auc", scalar: -0.1 }],
    }),
  ];
  expect(Buffer.concat(records).toString("hex")).toBe(golden.toString("hex"));
});
