/**
 * @file What a file is, by its first bytes: names lie (`gzip` files named `.csv`, CSV named `.parquet`). Pure.
 */

/** What the first bytes of a file say it is. */
export type FileKind =
  | "parquet"
  | "duckdb"
  | "sqlite"
  | "gzip"
  | "zstd"
  | "utf-16le"
  | "utf-16be"
  | "text"
  | Unread;

/** A format that is not read. */
interface Unread {
  what: string;
  fix: string;
}

const starts: readonly (readonly [string, FileKind])[] = [
  ["PAR1", "parquet"],
  ["\x1f\x8b", "gzip"],
  ["\x28\xb5\x2f\xfd", "zstd"],
  ["SQLite format 3\0", "sqlite"],
  ["PARE", { what: "a Parquet file whose footer is encrypted", fix: "Decrypt it first." }],
  ["BZh", { what: "a bzip2 file", fix: "Decompress it first: bunzip2 FILE" }],
  ["\xfd7zXZ", { what: "an xz file", fix: "Decompress it first: unxz FILE" }],
  ["\x04\x22\x4d\x18", { what: "an lz4 file", fix: "Decompress it first: unlz4 FILE" }],
  ["7z\xbc\xaf", { what: "a 7z archive", fix: "Unpack it first." }],
  ["Rar!", { what: "a RAR archive", fix: "Unpack it first." }],
  ["ARROW1", { what: "an Arrow (Feather) file", fix: "Write it as Parquet: pyarrow.parquet.write_table." }],
  ["FEA1", { what: "a Feather file", fix: "Write it as Parquet: DataFrame.to_parquet." }],
  ["ORC", { what: "an ORC file", fix: "Write it as Parquet." }],
  ["Obj\x01", { what: "an Avro file", fix: "Write it as Parquet." }],
  ["\x89HDF", { what: "an HDF5 file", fix: "Write it as Parquet: DataFrame.to_parquet." }],
  ["\x93NUMPY", { what: "a NumPy array", fix: "Write it as Parquet or CSV." }],
  ["\x80\x04\x95", { what: "a Python pickle", fix: "Write it as Parquet: DataFrame.to_parquet." }],
  ["\x80\x05\x95", { what: "a Python pickle", fix: "Write it as Parquet: DataFrame.to_parquet." }],
  ["\xd0\xcf\x11\xe0", { what: "an old Excel workbook", fix: "Save it as CSV." }],
  ["%PDF", { what: "a PDF document", fix: "Save the table as CSV." }],
  ["\xff\xfe\0\0", { what: "a text in UTF-32", fix: "Write it in UTF-8: iconv -f utf-32 -t utf-8" }],
  ["\0\0\xfe\xff", { what: "a text in UTF-32", fix: "Write it in UTF-8: iconv -f utf-32 -t utf-8" }],
  ["\xff\xfe", "utf-16le"],
  ["\xfe\xff", "utf-16be"],
];

/** Starts that a text may have too; in a file of the format, a byte that no text has comes next. */
const WORDS = new Set(["PAR1", "PARE", "ORC", "FEA1"]);

/** Bytes to look at. */
export const KIND_BYTES = 4096;

/** What the first {@link KIND_BYTES} bytes of a file say. */
export function fileKind(head: Buffer): FileKind {
  const text = head.toString("latin1");
  if (text.startsWith("DUCK", 8) && head[13] === 0) return "duckdb";
  if (text.startsWith("PK\x03\x04") || text.startsWith("PK\x05\x06")) {
    return /xl\/|\[Content_Types\]/.test(text)
      ? { what: "an Excel workbook", fix: "Save it as CSV." }
      : { what: "a ZIP archive", fix: "Unpack it and name the file inside." };
  }
  for (const [start, kind] of starts) {
    if (!text.startsWith(start)) continue;
    if (WORDS.has(start) && /^[\n\r\t -~]/.test(text.slice(start.length))) continue;
    if (start === "BZh" && !/^BZh[1-9]1AY&SY/.test(text)) continue;
    return kind;
  }
  return (
    utf16(head) ??
    (isBinary(head) ? { what: binaryWords(text), fix: "Convert it to Parquet or CSV first." } : "text")
  );
}

const binaryWords = (text: string) => `one that begins with ${JSON.stringify(text.slice(0, 8))}`;

/** UTF-16 without a byte order mark: every other byte of mostly Latin text is zero. */
function utf16(head: Buffer): "utf-16le" | "utf-16be" | null {
  const pairs = head.length >> 1;
  if (pairs < 2) return null;
  let even = 0;
  let odd = 0;
  for (let i = 0; i < 2 * pairs; i += 2) {
    if (head[i] === 0) even++;
    if (head[i + 1] === 0) odd++;
  }
  if (odd > 0.6 * pairs && even < 0.02 * pairs) return "utf-16le";
  return even > 0.6 * pairs && odd < 0.02 * pairs ? "utf-16be" : null;
}

/** Whether there are many bytes that no text has. A single zero byte in a text is told with its place. */
function isBinary(head: Buffer): boolean {
  let control = 0;
  for (const byte of head)
    if (byte < 32 && byte !== 9 && byte !== 10 && byte !== 12 && byte !== 13) control++;
  return control > 2 && control * 20 > head.length;
}
