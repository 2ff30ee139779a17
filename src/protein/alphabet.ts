/**
 * @file The residue alphabet: 22 ids, and how text becomes residues.
 *
 * Id 0 is padding, 1..20 are `ACDEFGHIKLMNPQRSTVWY` in this order, 21 is any other letter (X, B, Z, J, U, O). Cleaning
 * upper-cases and drops whitespace, digits, the gaps `-` and `.`, and a stop `*` at the end; a stop before the end, and
 * any character that is none of these, make the whole sequence unusable: guessing would classify something else. The
 * alphabet is Pareto's own choice; the ProFamNet abstract names none.
 */

/** Number of ids, padding included. */
export const ALPHABET_SIZE = 22;
/** The id of every letter that is not one of the 20 standard residues. */
export const UNKNOWN = 21;

const STANDARD = "ACDEFGHIKLMNPQRSTVWY";

/** In {@link RESIDUE_OF_BYTE}: the byte is dropped. */
const DROPPED = 0;
/** In {@link RESIDUE_OF_BYTE}: a stop, fine at the end only. */
export const STOP = 1;
/** In {@link RESIDUE_OF_BYTE}: the byte has no place in a sequence. */
export const REFUSED = 2;

/** `[256]`: for each byte its upper-case letter (65..90), or {@link DROPPED}, {@link STOP} or {@link REFUSED}. */
export const RESIDUE_OF_BYTE: Uint8Array = (() => {
  const table = new Uint8Array(256).fill(REFUSED);
  for (const character of " \t\n\v\f\r0123456789-.") table[character.charCodeAt(0)] = DROPPED;
  table["*".charCodeAt(0)] = STOP;
  for (let letter = 65; letter <= 90; letter++) {
    table[letter] = letter;
    table[letter + 32] = letter;
  }
  return table;
})();

const ID_OF_BYTE: Uint8Array = (() => {
  const table = new Uint8Array(256).fill(UNKNOWN);
  for (let i = 0; i < STANDARD.length; i++) table[STANDARD.charCodeAt(i)] = i + 1;
  return table;
})();

/** What is wrong with a sequence. */
export type SequenceFault = "FASTA_EMPTY" | "FASTA_INNER_STOP" | "FASTA_BAD_CHARACTER";

/**
 * One sentence on a refused character, ending in the character.
 * @param where what holds it, e.g. `line 3`
 * @param code its byte or UTF-16 unit
 */
export function describeCharacter(where: string, code: number): string {
  const shown = code > 32 && code < 127 ? `"${String.fromCharCode(code)}"` : `0x${code.toString(16)}`;
  return `${where} has a character that is no residue, got ${shown}`;
}

/** One sentence on a stop before the end. @param residues before the stop */
export function innerStop(residues: number): string {
  return `a stop "*" stands before the end of the sequence, got one after residue ${residues}`;
}

/**
 * Cleans one sequence.
 * @param raw the text of a sequence, line ends included or not
 * @returns upper-case letters, or the first fault
 */
export function cleanSequence(
  raw: string,
): { ok: true; residues: string } | { ok: false; code: SequenceFault; message: string } {
  const letters = Buffer.allocUnsafe(raw.length);
  let count = 0;
  let stopAt = -1;
  for (let i = 0; i < raw.length; i++) {
    const unit = raw.charCodeAt(i);
    const residue = unit < 256 ? RESIDUE_OF_BYTE[unit]! : REFUSED;
    if (residue > REFUSED) {
      if (stopAt >= 0) {
        const message = innerStop(count);
        return { ok: false, code: "FASTA_INNER_STOP", message };
      }
      letters[count++] = residue;
    } else if (residue === STOP) stopAt = count;
    else if (residue === REFUSED) {
      return { ok: false, code: "FASTA_BAD_CHARACTER", message: describeCharacter("the sequence", unit) };
    }
  }
  if (count === 0) {
    return { ok: false, code: "FASTA_EMPTY", message: "the sequence has no residues, got 0" };
  }
  return { ok: true, residues: letters.toString("latin1", 0, count) };
}

/**
 * Writes the ids of residues.
 * @param residues upper-case letters as {@link cleanSequence} gives them; any other character becomes {@link UNKNOWN}
 * @param out receives `residues.length` ids from `at`
 */
export function encodeInto(residues: string, out: Uint8Array, at: number): void {
  for (let i = 0; i < residues.length; i++) out[at + i] = ID_OF_BYTE[residues.charCodeAt(i)] ?? UNKNOWN;
}

/** The ids of residues, 1..21. @param residues upper-case letters as {@link cleanSequence} gives them */
export function encodeResidues(residues: string): Uint8Array {
  const ids = new Uint8Array(residues.length);
  encodeInto(residues, ids, 0);
  return ids;
}
