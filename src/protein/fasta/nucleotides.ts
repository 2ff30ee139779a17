/**
 * @file Tells DNA and RNA from protein by their letters, for they share an alphabet: a gene given by mistake would be
 * read as a protein of alanine, cysteine, glycine and threonine, and could be given a family.
 */

/** Shorter sequences may have any letters by chance. */
const LEAST_LETTERS = 30;
/** Share of bases; the rest are the codes of several bases. */
const LEAST_BASES = 0.9;

const BASE = 1;
const CODE = 2;

const KIND: Uint8Array = (() => {
  const table = new Uint8Array(256);
  for (const letter of "RYSWKMBDHV") table[letter.charCodeAt(0)] = CODE;
  for (const letter of "ACGTUN") table[letter.charCodeAt(0)] = BASE;
  return table;
})();

/**
 * Whether a sequence can only be DNA or RNA: 30 letters or more, all of them bases or IUPAC's codes of several, nine in
 * ten A, C, G, T, U or N, three of A, C, G and T or U among them. No known protein is like this; repeats of one or two
 * residues, which are, pass.
 * @param letters upper case, `count` of them
 */
export function looksLikeNucleotides(letters: Uint8Array, count: number): boolean {
  if (count < LEAST_LETTERS) return false;
  let bases = 0;
  const seen = new Set<number>();
  for (let i = 0; i < count; i++) {
    const kind = KIND[letters[i]!]!;
    // The first few residues decide for nearly every protein.
    if (kind === 0) return false;
    if (kind === BASE) bases++;
    if (seen.size < 3 && "ACGTU".includes(String.fromCharCode(letters[i]!))) seen.add(letters[i]!);
  }
  return bases >= LEAST_BASES * count && seen.size >= 3;
}
