/** @file What a FASTA file holds: records, records that cannot be used, and what the user should know of the rest. */
import type { SequenceFault } from "../alphabet.ts";

/** A usable record. */
export interface FastaRecord {
  bad: false;
  /** The header up to its first blank, or the byte 1 that joins headers; `sequence_N` for the N-th record when the header is empty. */
  id: string;
  /** The rest of the header; the empty text when there is none. */
  description: string;
  /** The header's line, from 1. */
  line: number;
  /** Upper-case letters, at least one. */
  residues: string;
}

/** Why a record cannot be used. */
export type BadRecordCode =
  | SequenceFault
  | "FASTA_NO_HEADER"
  | "FASTA_NUCLEOTIDES"
  | "FASTA_PIR"
  | "FASTA_TOO_LONG";

/** A record that cannot be used; reading goes on after it. */
export interface BadRecord {
  bad: true;
  /** As in {@link FastaRecord}; the empty text for `FASTA_NO_HEADER`. */
  id: string;
  description: string;
  /** The header's line, from 1; for `FASTA_NO_HEADER` that of the first text. */
  line: number;
  code: BadRecordCode;
  /** One sentence ending in the value received. */
  message: string;
  /** What to do about it, as an instruction. */
  fix: string;
}

/** Something odd that did not stop a record, or the rest of a file, from being used. */
export interface FastaWarning {
  code:
    | "FASTA_DIGITS"
    | "FASTA_DUPLICATE_ID"
    | "FASTA_IDS_UNCHECKED"
    | "FASTA_NO_END"
    | "FASTA_NO_ID"
    | "FASTA_TRAILING_BYTES";
  /** One sentence ending in the value received. */
  message: string;
  /** The record's id and the line of its header; absent from what concerns the whole file. */
  id?: string;
  line?: number;
}

/** Options of reading FASTA. */
export interface FastaOptions {
  /** Records of more residues become bad ones, so that memory stays bounded (default 1,000,000). */
  maxResidues?: number;
  /**
   * Called for duplicate ids, empty ones and digits between residues, once for each record concerned, and for bytes
   * that are left out.
   */
  onWarning?: (warning: FastaWarning) => void;
}
