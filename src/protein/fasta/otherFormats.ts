/**
 * @file Formats of biology and of the web that are text and no FASTA, by how they begin. Read as FASTA they would be one
 * long sequence without a header, or have their titles read as residues; it helps more to say what the file is.
 *
 * A2M and A3M are read: lower-case letters are residues, and gaps are dropped.
 */

/** A format, and what to do with a file of it. */
export interface OtherFormat {
  what: string;
  fix: string;
}

const READS =
  "These are reads of DNA or RNA: translate them to protein first, e.g. with seqkit fq2fa and seqkit translate, and give FASTA.";
const ENTRY =
  "Fetch the entry as protein FASTA, or write its translations as FASTA, e.g. with EMBOSS: seqret FILE out.fa";
const ALIGNMENT =
  "Save the alignment as FASTA, e.g. with EMBOSS: seqret FILE fasta::out.fa; gaps are dropped when it is read.";
const STRUCTURE = "Fetch the sequences of the structure as FASTA, e.g. from the entry's page.";
const PAGE = "Open it to see what was fetched in place of the FASTA file.";
/** What to do with records of PIR. */
export const PIR_FIX =
  "Convert it, e.g. with EMBOSS: seqret pir::FILE fasta::out.fa; the line below the header is a title and no sequence.";
/** How a record of PIR begins; FASTA has no such ids. */
export const PIR_HEADER = /^>(?:P1|F1|DL|DC|RL|RC|N1|N3|XX);/;
const TEXT = "Fetch or convert the sequences as FASTA: a line >id and then the residues, for each.";

/** Of the text's start, without a byte order mark and blanks before the first letter. */
const STARTS: readonly { begins: RegExp; what: string; fix: string }[] = [
  { begins: PIR_HEADER, what: "PIR (NBRF)", fix: PIR_FIX },
  { begins: /^@(?:HD|SQ|RG|PG|CO)\t/, what: "SAM", fix: READS },
  { begins: /^@/, what: "FASTQ", fix: READS },
  { begins: /^LOCUS[ \t]/, what: "GenBank", fix: ENTRY },
  { begins: /^ID {3}\S/, what: "EMBL or UniProt text", fix: ENTRY },
  { begins: /^(?:Seq-(?:entry|submit)|Bioseq(?:-set)?) ?::=/, what: "ASN.1", fix: ENTRY },
  {
    begins: /^(?:CLUSTAL(?:[ \tOWX:]|$)|(?:MUSCLE|PROBCONS|MSAPROBS|PROMALS|Kalign) )/i,
    what: "Clustal",
    fix: ALIGNMENT,
  },
  { begins: /^# ?STOCKHOLM/, what: "Stockholm", fix: ALIGNMENT },
  { begins: /^#NEXUS/i, what: "NEXUS", fix: ALIGNMENT },
  { begins: /^#mega\b/i, what: "MEGA", fix: ALIGNMENT },
  { begins: /^(?:!![AN]A_|PileUp\b|[^>;\r\n]*\bMSF: *\d)/, what: "GCG (MSF)", fix: ALIGNMENT },
  { begins: /^\d+[ \t]+\d+(?:[ \t]+[A-Z]+)*[ \t]*[\r\n]/i, what: "PHYLIP", fix: ALIGNMENT },
  { begins: /^##gff-version/i, what: "GFF", fix: "Give the FASTA of the proteins that it annotates." },
  {
    begins: /^##fileformat=VCF/,
    what: "VCF",
    fix: "Give the FASTA of the proteins that the variants are of.",
  },
  { begins: /^HMMER\d/, what: "a profile of HMMER", fix: "Give FASTA, e.g. of hmmemit FILE." },
  { begins: /^(?:T?BLAST[NPX] \d|PSIBLAST)/, what: "a report of BLAST", fix: TEXT },
  {
    begins:
      /^(?:HEADER {4}|(?:ATOM|HETATM) +\d|(?:TITLE|COMPND|SOURCE|EXPDTA|REMARK|SEQRES|CRYST1|MODEL) {2,})/,
    what: "PDB",
    fix: STRUCTURE,
  },
  { begins: /^(?:#[^\n]*\r?\n)*data_\S/, what: "mmCIF", fix: STRUCTURE },
  {
    begins: /^<(?:!--[^>]*-->\s*<)?(?:!doctype html|html|head|body|title|p>|h1)/i,
    what: "an HTML page",
    fix: PAGE,
  },
  { begins: /^<[?!a-z]/i, what: "XML", fix: TEXT },
  { begins: /^(?:\{\s*["}]|\[\s*[{"\]])/, what: "JSON", fix: "Write the sequences as FASTA." },
  { begins: /^[^>;#\r\n][^\r\n]*\t[^\r\n]*\t/, what: "a table separated by tabs", fix: TEXT },
  {
    begins: /^"?[\w .]+"?(?:[,;]"?[\w .*-]+"?)+[\r\n]/,
    what: "a table separated by commas or semicolons",
    fix: TEXT,
  },
  { begins: /^\{\\rtf/, what: "RTF, of a word processor", fix: "Save it as plain text." },
];

/** Bytes of a text that {@link otherFormat} needs to see. */
export const FORMAT_BYTES = 256;

/** The longest start that tells PIR from FASTA. */
const HEADER_CHARACTERS = 4;

/** Whether a text is FASTA by its first characters that are no blanks; null where there are too few of them so far. */
export function opensFasta(start: Uint8Array): boolean | null {
  const text = withoutBlanks(start);
  if (text[0] === ";") return true;
  if (text !== "" && text[0] !== ">") return false;
  // A line that has ended is long enough.
  return text.length < HEADER_CHARACTERS && !/[\r\n]/.test(text) ? null : otherFormat(start) === null;
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
