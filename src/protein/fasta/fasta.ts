/**
 * @file Reads FASTA files of any size in constant memory.
 *
 * Takes what biologists have: wrapped or single lines, LF, CRLF or CR, lower case, blank lines, comments, gaps, numbered
 * sequence lines, a stop at the end, gzip or Zstandard by content, standard input. A record that cannot be used is
 * given as a {@link BadRecord} in its place, and reading goes on; only a source that is no FASTA at all, or that cannot
 * be read to its end, throws, the latter once all whole records before the damaged place are given.
 */
import { untilFailure, type Failure } from "../../base/untilFailure.ts";
import { WholeButWrong } from "./decompress.ts";
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
  const failure: Failure = { error: null };
  for await (const chunk of untilFailure(readBytes(source, options.onWarning), failure)) {
    const records = parser.push(chunk);
    if (records.length > 0) yield records;
  }
  const { error } = failure;
  // Of data that is cut off the last record is not whole.
  if (error !== null && !(error instanceof Error && error.cause instanceof WholeButWrong)) throw error;
  const last = parser.finish();
  if (last.length > 0) yield last;
  if (error !== null) throw error;
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
