/**
 * @file Bytes of FASTA to records, in chunks of any size and with memory for one record.
 *
 * A line that begins with `>`, after any blanks, opens a record. Line ends may be LF, CRLF or CR. A line that begins with `;` is a comment;
 * before the first `>` the first of a run of such lines names the sequence that follows it, as in Pearson's original
 * format. Text before any header is one bad record. A UTF-8 byte order mark at the start of a line is dropped, so that
 * concatenated files read well. Bytes that are no residues make their record bad and never stop the reading.
 */
import { describeCharacter, innerStop, REFUSED, RESIDUE_OF_BYTE, STOP } from "../alphabet.ts";
import { SeenIds } from "./fastaIds.ts";
import type { BadRecord, BadRecordCode, FastaOptions, FastaRecord, FastaWarning } from "./fastaRecord.ts";
import { looksLikeNucleotides } from "./nucleotides.ts";
import { PIR_FIX, PIR_HEADER } from "./otherFormats.ts";

const TAB = 9;
const LF = 10;
const CR = 13;
const GREATER = 62;
const SEMICOLON = 59;
const SPACE = 32;
const ZERO = 48;
const NINE = 57;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf] as const;

/** Bytes of a header that are kept; databases that join many headers write longer ones. */
const MAX_HEADER_BYTES = 65_536;

const FIXES: Record<BadRecordCode, string> = {
  FASTA_EMPTY: "Give the record a sequence, or remove it.",
  FASTA_INNER_STOP: "Cut the sequence at its stops, and give each piece a header of its own.",
  FASTA_BAD_CHARACTER: "Write the sequence in letters; gaps may be - or ., a stop * may end it.",
  FASTA_NO_HEADER: "Put a line that begins with > before each sequence, e.g. >my_protein.",
  FASTA_NUCLEOTIDES: "Translate it first, or give the protein's sequence.",
  FASTA_PIR: PIR_FIX,
  FASTA_TOO_LONG: "Check that this is a protein and not a chromosome, or raise the limit of residues.",
};
const MISSING_BREAK = "Put a line break before the >, which otherwise opens no record.";

/** What ends an id: blanks, and the byte 1 that joins the headers of NCBI's databases. Other control characters are its own. */
const isBlank = (byte: number): boolean => byte === SPACE || (byte >= TAB && byte <= CR) || byte === 1;

type State = "lineStart" | "header" | "comment" | "sequence";

/** Takes chunks of bytes, gives records. */
export class FastaParser {
  readonly #maxResidues: number;
  readonly #onWarning: ((warning: FastaWarning) => void) | undefined;
  readonly #ids = new SeenIds();
  #idsFull = false;

  #state: State = "lineStart";
  #line = 1;
  #afterCr = false;
  /** How much of a byte order mark the current line has shown. */
  #markBytes = 0;

  /** The open record: `none` before the first header. */
  #open: "none" | "greater" | "semicolon" | "orphan" = "none";
  #openLine = 0;
  #anyGreater = false;
  #records = 0;
  #header = Buffer.allocUnsafe(MAX_HEADER_BYTES);
  #headerBytes = 0;
  #residues = Buffer.allocUnsafe(4096);
  #residueCount = 0;
  #stopped = false;
  /** Where digits stand: behind a residue, so that one more residue makes them part of a word. */
  #digits: "none" | "behindResidue" | "withinWord" = "none";
  #lastByte = 0;
  #fault: { code: BadRecordCode; message: string; fix: string } | null = null;
  #out: (FastaRecord | BadRecord)[] = [];

  constructor(options: FastaOptions = {}) {
    this.#maxResidues = options.maxResidues ?? 1_000_000;
    this.#onWarning = options.onWarning;
  }

  /** The records that end in this chunk. The chunk is not kept. */
  push(chunk: Uint8Array): (FastaRecord | BadRecord)[] {
    let at = 0;
    while (at < chunk.length) {
      if (this.#state === "lineStart") at = this.#startLine(chunk, at);
      else if (this.#state === "sequence") at = this.#readSequence(chunk, at);
      else at = this.#readText(chunk, at);
    }
    return this.#take();
  }

  /** The last record, if any. */
  finish(): (FastaRecord | BadRecord)[] {
    if (this.#markBytes > 0) this.#replayMark();
    this.#close();
    this.#open = "none";
    return this.#take();
  }

  #take(): (FastaRecord | BadRecord)[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }

  /** Decides what a line is by its first byte. */
  #startLine(chunk: Uint8Array, at: number): number {
    const byte = chunk[at]!;
    if (this.#afterCr) {
      this.#afterCr = false;
      if (byte === LF) return at + 1;
    }
    if (byte === BYTE_ORDER_MARK[this.#markBytes]) {
      this.#markBytes++;
      if (this.#markBytes === BYTE_ORDER_MARK.length) this.#markBytes = 0;
      return at + 1;
    }
    if (this.#markBytes > 0) {
      this.#replayMark();
      return at;
    }
    // Indented files are read as if they were not: a > inside a sequence would be an error in any case.
    if (byte === SPACE || byte === TAB) return at + 1;
    if (byte === GREATER) {
      this.#close();
      this.#begin("greater");
      this.#anyGreater = true;
      this.#state = "header";
      return at + 1;
    }
    if (byte === SEMICOLON) {
      const opens = !this.#anyGreater && (this.#open !== "semicolon" || this.#hasText());
      if (opens) {
        this.#close();
        this.#begin("semicolon");
      }
      this.#state = opens ? "header" : "comment";
      return at + 1;
    }
    this.#state = "sequence";
    return at;
  }

  /** Bytes that looked like a byte order mark and were none belong to the sequence. */
  #replayMark(): void {
    const bytes = Uint8Array.from(BYTE_ORDER_MARK.slice(0, this.#markBytes));
    this.#markBytes = 0;
    this.#state = "sequence";
    this.#readSequence(bytes, 0);
  }

  #begin(kind: "greater" | "semicolon" | "orphan"): void {
    this.#open = kind;
    this.#openLine = this.#line;
    this.#headerBytes = 0;
    this.#residueCount = 0;
    this.#stopped = false;
    this.#digits = "none";
    this.#lastByte = 0;
    this.#fault = null;
  }

  #hasText(): boolean {
    return this.#residueCount > 0 || this.#stopped || this.#fault !== null;
  }

  /** A header or a comment, up to the end of the line or of the chunk. */
  #readText(chunk: Uint8Array, start: number): number {
    let at = start;
    while (at < chunk.length && chunk[at] !== LF && chunk[at] !== CR) at++;
    if (this.#state === "header") {
      const kept = Math.min(at - start, MAX_HEADER_BYTES - this.#headerBytes);
      for (let i = 0; i < kept; i++) this.#header[this.#headerBytes + i] = chunk[start + i]!;
      this.#headerBytes += kept;
    }
    return at < chunk.length ? this.#endLine(chunk[at]!, at) : at;
  }

  #endLine(byte: number, at: number): number {
    this.#line++;
    this.#afterCr = byte === CR;
    this.#lastByte = byte;
    if (this.#digits === "behindResidue") this.#digits = "none";
    this.#state = "lineStart";
    return at + 1;
  }

  /** Residues, up to the end of the line or of the chunk. */
  #readSequence(chunk: Uint8Array, start: number): number {
    if (this.#open === "none") this.#begin("orphan");
    if (this.#open === "orphan" && !this.#hasText()) this.#openLine = this.#line;
    this.#reserve(chunk.length - start);
    const residues = this.#residues;
    const limit = this.#maxResidues;
    let count = this.#residueCount;
    let stopped = this.#stopped;
    for (let at = start; at < chunk.length; at++) {
      if (this.#digits === "behindResidue") this.#followDigits(chunk[at]!);
      if (!stopped) {
        // Nearly every byte passes through this loop, which therefore asks as little as it can.
        const end = Math.min(chunk.length, at + limit - count);
        while (at < end) {
          const residue = RESIDUE_OF_BYTE[chunk[at]!]!;
          if (residue <= REFUSED) break;
          residues[count++] = residue;
          at++;
        }
        if (at === chunk.length) break;
      }
      const byte = chunk[at]!;
      const residue = RESIDUE_OF_BYTE[byte]!;
      if (residue > REFUSED) {
        if (stopped) this.#fail("FASTA_INNER_STOP", innerStop(count));
        else this.#fail("FASTA_TOO_LONG", `the sequence is too long, got more than ${limit} residues`);
      } else if (byte === LF || byte === CR) {
        this.#residueCount = count;
        return this.#endLine(byte, at);
      } else if (byte >= ZERO && byte <= NINE) {
        const before = at > start ? chunk[at - 1]! : this.#lastByte;
        if (RESIDUE_OF_BYTE[before]! > REFUSED && this.#digits === "none") this.#digits = "behindResidue";
      } else if (residue === STOP) {
        stopped = true;
        this.#stopped = true;
      } else if (residue === REFUSED) {
        const fix = byte === GREATER ? MISSING_BREAK : FIXES.FASTA_BAD_CHARACTER;
        this.#fail("FASTA_BAD_CHARACTER", describeCharacter(`line ${this.#line}`, byte), fix);
      }
    }
    this.#residueCount = count;
    this.#lastByte = chunk.at(-1)!;
    return chunk.length;
  }

  /** Numbers of lines stand apart; digits between residues may have been residues. */
  #followDigits(byte: number): void {
    if (byte >= ZERO && byte <= NINE) return;
    this.#digits = "none";
    if (RESIDUE_OF_BYTE[byte]! <= REFUSED) return;
    this.#digits = "withinWord";
    if (this.#open === "orphan") return;
    const { id = `sequence_${this.#records + 1}` } = this.#readHeader();
    const [line, shown] = [this.#line, String.fromCharCode(byte)];
    const message = `digits between residues are left out on line ${line}, got some before "${shown}"`;
    this.#onWarning?.({ code: "FASTA_DIGITS", id, line, message });
  }

  /** Keeps the first fault of a record. */
  #fail(code: BadRecordCode, message: string, fix = FIXES[code]): void {
    this.#fault ??= { code, message, fix };
  }

  /** Room for a chunk more, but never for more than a record may have. */
  #reserve(bytes: number): void {
    const needed = Math.min(this.#residueCount + bytes, this.#maxResidues);
    if (needed <= this.#residues.length) return;
    const grown = Buffer.allocUnsafe(Math.max(needed, 2 * this.#residues.length));
    this.#residues.copy(grown, 0, 0, this.#residueCount);
    this.#residues = grown;
  }

  /** Ends the open record. */
  #close(): void {
    const kind = this.#open;
    if (kind === "none" || (kind !== "greater" && !this.#hasText())) return;
    const line = this.#openLine;
    if (kind === "orphan") {
      const start = this.#residues.toString("latin1", 0, Math.min(this.#residueCount, 30));
      const message = `text stands before the first header, on line ${line}, got ${JSON.stringify(start)}`;
      const code = "FASTA_NO_HEADER";
      this.#out.push({ bad: true, id: "", description: "", line, code, message, fix: FIXES[code] });
      return;
    }
    this.#records++;
    const { id = this.#numberedId(), description } = this.#readHeader();
    this.#checkId(id);
    // Its title would be read as residues, so this comes before whatever else is wrong with it.
    if (PIR_HEADER.test(`>${id}`)) {
      this.#fault = { code: "FASTA_PIR", message: `the record is PIR (NBRF), got ">${id}"`, fix: PIR_FIX };
    }
    if (this.#residueCount === 0) this.#fail("FASTA_EMPTY", "the record has no residues, got 0");
    if (looksLikeNucleotides(this.#residues, this.#residueCount)) {
      const start = this.#residues.toString("latin1", 0, 30);
      this.#fail(
        "FASTA_NUCLEOTIDES",
        `the sequence is DNA or RNA by its letters, got ${JSON.stringify(start)}`,
      );
    }
    if (this.#fault !== null) {
      this.#out.push({ bad: true, id, description, line, ...this.#fault });
      return;
    }
    const residues = this.#residues.toString("latin1", 0, this.#residueCount);
    this.#out.push({ bad: false, id, description, line, residues });
  }

  /** Without an id where the header is empty. */
  #readHeader(): { id?: string; description: string } {
    const header = this.#header;
    let end = this.#headerBytes;
    while (end > 0 && isBlank(header[end - 1]!)) end--;
    let start = 0;
    while (start < end && isBlank(header[start]!)) start++;
    let idEnd = start;
    while (idEnd < end && !isBlank(header[idEnd]!)) idEnd++;
    let rest = idEnd;
    while (rest < end && isBlank(header[rest]!)) rest++;
    if (start < end) return { id: decode(header, start, idEnd), description: decode(header, rest, end) };
    return { description: "" };
  }

  /** The id of a record without one, with a warning. */
  #numberedId(): string {
    const id = `sequence_${this.#records}`;
    const message = `the header is empty, so the record is named by its number, got "${id}"`;
    this.#onWarning?.({ code: "FASTA_NO_ID", id, line: this.#openLine, message });
    return id;
  }

  /** Warns of ids seen before. */
  #checkId(id: string): void {
    if (this.#onWarning === undefined || this.#idsFull) return;
    const seen = this.#ids.add(id);
    const line = this.#openLine;
    if (seen === "seen") {
      const message = `another record before line ${line} has the same id, got "${id}"`;
      this.#onWarning({ code: "FASTA_DUPLICATE_ID", id, line, message });
    } else if (seen === "full") {
      this.#idsFull = true;
      const message = `there are too many ids to look for duplicates from here on, got "${id}"`;
      this.#onWarning({ code: "FASTA_IDS_UNCHECKED", id, line, message });
    }
  }
}

/** Text of a header: UTF-8, or Latin-1 where it is not that. */
function decode(bytes: Buffer, start: number, end: number): string {
  for (let i = start; i < end; i++) {
    if (bytes[i]! < 0x80) continue;
    const text = bytes.toString("utf8", start, end);
    return text.includes("\ufffd") ? bytes.toString("latin1", start, end) : text;
  }
  return bytes.toString("latin1", start, end);
}
