/** @file `--family-from`, of the commands that read labelled sequences. */
import { listWords, option, words } from "../../options/spec.ts";

const FAMILY_FROM = {
  file: "a file is a family, by its name",
  header: "family=NAME, a Pfam or InterPro accession, or NAME| in each header",
} as const;

/** The option. */
export const familyFromOption = option("what", words(FAMILY_FROM), {
  meaning: `What names the family of a sequence: ${listWords(FAMILY_FROM)}`,
  default: "file",
});
