/**
 * @file The family and the species that a FASTA header names.
 *
 * There is no standard; these are the habits of the public databases, tried in the order given.
 */

/** First fields that name a database and not a family, as in `sp|P69905|HBA_HUMAN`. */
const DATABASES = new Set(
  "sp tr gi ref gb emb dbj pdb pir prf lcl gnl bbs pat tpg tpe tpd ur bbm bbn".split(" "),
);

const KEY = /(?:^|[\s|;,[])(?:family|fam|pfam|interpro|label)[=:]\s*(?:"([^"]+)"|([^\s|;,\]"]+))/i;
const PFAM = /(?:^|[\s|])(PF\d{5})(?:\.\d+)?(?=[;\s|]|$)/;
const INTERPRO = /(?:^|[\s|])(IPR\d{6})(?=[;:,\s|]|$)/;

/**
 * The family that a header names: 1. the value of `family=` (or `fam=`, `pfam=`, `interpro=`, `label=`, with `=` or `:`; quotes for
 * values with spaces); 2. a Pfam accession standing alone, as in Pfam's own `… PF00244.21;14-3-3;`, without its version;
 * 3. an InterPro accession standing alone, as `… IPR000971 Globin`; 4. the id's first `|`-separated field, unless that names a database (`sp|…`).
 * @param id the header up to its first space @param description the rest
 * @returns null when none applies
 */
export function familyOfHeader(id: string, description: string): string | null {
  const header = description === "" ? id : `${id} ${description}`;
  const named = KEY.exec(header);
  if (named !== null) return named[1] ?? named[2]!;
  const pfam = PFAM.exec(header);
  if (pfam !== null) return pfam[1]!;
  const interpro = INTERPRO.exec(header);
  if (interpro !== null) return interpro[1]!;
  const bar = id.indexOf("|");
  if (bar <= 0) return null;
  const first = id.slice(0, bar);
  return DATABASES.has(first.toLowerCase()) ? null : first;
}

/** UniProt entry names: up to ten characters, `_`, and a code of three to five, one of them a letter. */
const ENTRY_NAME = /_((?=[0-9]*[A-Z])[A-Z0-9]{3,5})(?:\/\d+-\d+)?$/;
const TAXON = /(?:^|\s)OX=(\d+)/;
const ORGANISM = /(?:^|\s)OS=(.+?)(?=\s[A-Z]{2}=|$)/;
const BRACKETS = /\[([A-Z][^[\]]*)\]\s*$/;

/**
 * The species that a header names: the code of a UniProt entry name (`HBA_HUMAN`, with or without `/start-end`), else
 * UniProt's `OX=` or `OS=`, else NCBI's `[Homo sapiens]` at the end.
 * @returns the empty text when none applies
 */
export function speciesOfHeader(id: string, description: string): string {
  const code = ENTRY_NAME.exec(id);
  if (code !== null) return code[1]!;
  if (description === "") return "";
  const found = TAXON.exec(description) ?? ORGANISM.exec(description) ?? BRACKETS.exec(description);
  return found === null ? "" : found[1]!.trim();
}

/** The protein that an id names: all before a trailing `/start-end`, which says what part of it a domain is. */
export function proteinOfId(id: string): string {
  const slash = id.lastIndexOf("/");
  return slash > 0 && /^\d+-\d+$/.test(id.slice(slash + 1)) ? id.slice(0, slash) : id;
}
