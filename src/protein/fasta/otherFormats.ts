/**
 * @file Formats of biology and of the web that are text and no FASTA, by how they begin. Read as FASTA they would be one
 * long sequence without a header; it helps more to say what the file is.
 */

/** A format, and what to do with a file of it. */
export interface OtherFormat {
  what: string;
  fix: string;
}

const READS = "These are reads of DNA or RNA: translate them to protein first, and give FASTA.";
const ENTRY =
  "Fetch the entry as protein FASTA, or write its translations as FASTA, e.g. with EMBOSS: seqret FILE out.fa";
const ALIGNMENT = "Save the alignment as FASTA; gaps are dropped when it is read.";
const STRUCTURE = "Fetch the sequences of the structure as FASTA.";
const PAGE = "Open it to see what was fetched in place of the FASTA file.";

/** Of the text's start, without a byte order mark and blanks before the first letter. */
const STARTS: readonly { begins: RegExp; what: string; fix: string }[] = [
  { begins: /^@(?:HD|SQ|RG|PG|CO)\t/, what: "SAM", fix: READS },
  { begins: /^@/, what: "FASTQ", fix: READS },
  { begins: /^LOCUS[ \t]/, what: "GenBank", fix: ENTRY },
  { begins: /^ID {3}\S/, what: "EMBL or UniProt text", fix: ENTRY },
  { begins: /^(?:CLUSTAL(?:[ \tOWX:]|$)|(?:MUSCLE|PROBCONS|MSAPROBS) )/, what: "Clustal", fix: ALIGNMENT },
  { begins: /^# ?STOCKHOLM/, what: "Stockholm", fix: ALIGNMENT },
  { begins: /^#NEXUS/i, what: "NEXUS", fix: ALIGNMENT },
  { begins: /^(?:!![AN]A_|PileUp)/, what: "GCG", fix: ALIGNMENT },
  { begins: /^\d+[ \t]+\d+[ \t]*[\r\n]/, what: "PHYLIP", fix: ALIGNMENT },
  { begins: /^##gff-version/i, what: "GFF", fix: "Give the FASTA of the proteins that it annotates." },
  {
    begins: /^##fileformat=VCF/,
    what: "VCF",
    fix: "Give the FASTA of the proteins that the variants are of.",
  },
  { begins: /^(?:HEADER {4}|(?:ATOM|HETATM) +\d)/, what: "PDB", fix: STRUCTURE },
  { begins: /^data_\S/, what: "mmCIF", fix: STRUCTURE },
  { begins: /^<(?:!doctype html|html)/i, what: "an HTML page", fix: PAGE },
  { begins: /^<\?xml/i, what: "XML", fix: "Fetch or convert the sequences as FASTA." },
  { begins: /^(?:\{\s*"|\[\s*[{"])/, what: "JSON", fix: "Write the sequences as FASTA." },
];

/** Bytes of a text that {@link otherFormat} needs to see. */
export const FORMAT_BYTES = 256;

/** Whether a text may still be FASTA by its first byte that is no blank; null where all are blank so far. */
export function opensFasta(start: Uint8Array): boolean | null {
  const first = withoutBlanks(start)[0];
  return first === undefined ? null : first === ">" || first === ";";
}

/** What a text is by its start, or null when it may be FASTA. */
export function otherFormat(start: Uint8Array): OtherFormat | null {
  const text = withoutBlanks(start);
  return STARTS.find(({ begins }) => begins.test(text)) ?? null;
}

function withoutBlanks(start: Uint8Array): string {
  return Buffer.from(start.buffer, start.byteOffset, start.length)
    .toString("latin1")
    .replace(/^(?:\u00ef\u00bb\u00bf)?\s+|^\u00ef\u00bb\u00bf/, "");
}
