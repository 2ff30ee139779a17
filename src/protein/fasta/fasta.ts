/**
 * @file Reads FASTA files of any size in constant memory.
 *
 * Takes what biologists have: wrapped or single lines, LF, CRLF or CR, lower case, blank lines, comments, gaps, numbered
 * sequence lines, a stop at the end, gzip or Zstandard by content, standard input. A record that cannot be used is
 * given as a {@link BadRecord} in its place, and reading goes on; only a source that is no FASTA at all, or that cannot
 * be read to its end, throws.
 */
import { readBytes, type FastaSource } from "./fastaBytes.ts";
import { FastaParser } from "./fastaParser.ts";
import type { BadRecord, FastaOptions, FastaRecord } from "./fastaRecord.ts";

/**
 * Records in groups, as they come out of a chunk of bytes; faster than one by one when there are millions.
 * @param source a path, `-` for standard input, or a stream of bytes
 * @throws ParetoError FILE_MISSING, FILE_REFUSED, FASTA_NOT_TEXT, FASTA_OTHER_FORMAT, FASTA_COMPRESSION
 */
export async function* readFastaGroups(
  source: FastaSource,
  options: FastaOptions = {},
): AsyncGenerator<(FastaRecord | BadRecord)[]> {
  const parser = new FastaParser(options);
  for await (const chunk of readBytes(source)) {
    const records = parser.push(chunk);
    if (records.length > 0) yield records;
  }
  const last = parser.finish();
  if (last.length > 0) yield last;
}

/**
 * Records in the order of the source, good and bad.
 * @param source a path, `-` for standard input, or a stream of bytes
 * @throws ParetoError FILE_MISSING, FILE_REFUSED, FASTA_NOT_TEXT, FASTA_OTHER_FORMAT, FASTA_COMPRESSION
 */
export async function* readFasta(
  source: FastaSource,
  options: FastaOptions = {},
): AsyncGenerator<FastaRecord | BadRecord> {
  for await (const group of readFastaGroups(source, options)) {
    // Not `yield*`, which would await every record twice.
    for (const record of group) yield record;
  }
}

export type { BadRecord, BadRecordCode, FastaOptions, FastaRecord, FastaWarning } from "./fastaRecord.ts";
