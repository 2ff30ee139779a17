/**
 * @file TensorBoard's event files byte by byte: TFRecords (length, checksum, data, checksum) of `Event` messages. Only
 * what Pareto writes is here: scalars, texts and the start of a session. Field numbers are those of event.proto,
 * summary.proto and tensor.proto.
 */
import protobuf from "protobufjs/minimal.js";

/** A value of a summary. */
export type SummaryValue = { tag: string; scalar: number } | { tag: string; text: string };

/** An event. */
export type TensorBoardEvent = {
  /** Seconds since 1970. */
  wallTime: number;
  step?: number;
} & (
  | { content: "version" }
  /** Whatever has this step or a later one and stands before is not to be shown. */
  | { content: "sessionStart" }
  | { content: "summary"; values: readonly SummaryValue[] }
);

/** The version of the format, which the first event of a file gives. */
const FILE_VERSION = "brain.Event:2";
const WRITER = "pareto";
const SESSION_START = 1;
const DT_STRING = 7;
/** Of a protobuf field: one of 64 bits, 32 bits, an integer, or bytes with their length. */
const [INTEGER, BITS_64, BYTES, BITS_32] = [0, 1, 2, 5] as const;

const key = (field: number, wire: number): number => 8 * field + wire;

/** An event as a record of a file. */
export function encodeRecord(event: TensorBoardEvent): Uint8Array {
  const data = encodeEvent(event);
  const record = new Uint8Array(data.length + 16);
  const view = new DataView(record.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(record.subarray(0, 8)), true);
  record.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc(data), true);
  return record;
}

function encodeEvent(event: TensorBoardEvent): Uint8Array {
  const writer = protobuf.Writer.create().uint32(key(1, BITS_64)).double(event.wallTime);
  if (event.step) writer.uint32(key(2, INTEGER)).int64(event.step);
  switch (event.content) {
    case "version":
      writer.uint32(key(3, BYTES)).string(FILE_VERSION);
      // source_metadata.writer
      writer.uint32(key(10, BYTES)).fork().uint32(key(1, BYTES)).string(WRITER).ldelim();
      break;
    case "sessionStart":
      // session_log.status
      writer.uint32(key(7, BYTES)).fork().uint32(key(1, INTEGER)).int32(SESSION_START).ldelim();
      break;
    case "summary":
      writer.uint32(key(5, BYTES)).fork();
      for (const value of event.values) encodeValue(writer, value);
      writer.ldelim();
  }
  return writer.finish();
}

function encodeValue(writer: protobuf.Writer, value: SummaryValue): void {
  writer.uint32(key(1, BYTES)).fork().uint32(key(1, BYTES)).string(value.tag);
  if ("scalar" in value) writer.uint32(key(2, BITS_32)).float(value.scalar);
  else {
    // tensor: dtype, tensor_shape.dim.size, string_val
    writer.uint32(key(8, BYTES)).fork().uint32(key(1, INTEGER)).int32(DT_STRING);
    writer.uint32(key(2, BYTES)).fork().uint32(key(2, BYTES)).fork();
    writer.uint32(key(1, INTEGER)).int64(1).ldelim().ldelim();
    writer.uint32(key(8, BYTES)).string(value.text).ldelim();
    // metadata.plugin_data.plugin_name
    writer.uint32(key(9, BYTES)).fork().uint32(key(1, BYTES)).fork();
    writer.uint32(key(1, BYTES)).string("text").ldelim().ldelim();
  }
  writer.ldelim();
}

/** CRC-32C (Castagnoli) of each byte value. */
const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

/** A CRC-32C as TFRecords store it: turned and moved, for a checksum of data that holds its own checksum is no good one. */
export function maskedCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = CRC_TABLE[(crc ^ byte) & 0xff]! ^ (crc >>> 8);
  crc = ~crc;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
