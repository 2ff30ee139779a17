/**
 * @file Where `UnicodeScripts` cuts a text: where the script changes. Hiragana and Katakana count as Han; a space, and what
 * has no script in the table of SentencePiece, changes nothing.
 */
import { members } from "./unicode/classes.ts";
import { WITHOUT_SCRIPT } from "./unicode/exceptions.ts";

/** The scripts of that table. */
const SCRIPTS =
  "Latin Common Han Hiragana Katakana Cyrillic Greek Arabic Hebrew Hangul Devanagari Thai Inherited Adlam Ahom Anatolian_Hieroglyphs Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki Bopomofo Brahmi Braille Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee Coptic Cuneiform Cypriot Deseret Duployan Egyptian_Hieroglyphs Elbasan Ethiopic Georgian Glagolitic Gothic Grantha Gujarati Gurmukhi Hanunoo Hatran Imperial_Aramaic Inscriptional_Pahlavi Inscriptional_Parthian Javanese Kaithi Kannada Kayah_Li Kharoshthi Khmer Khojki Khudawadi Lao Lepcha Limbu Linear_A Linear_B Lisu Lycian Lydian Mahajani Malayalam Mandaic Manichaean Marchen Meetei_Mayek Mende_Kikakui Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar Nabataean New_Tai_Lue Newa Nko Ogham Ol_Chiki Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_South_Arabian Old_Turkic Oriya Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada Shavian Siddham SignWriting Sinhala Sora_Sompeng Sundanese Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri Tamil Tangut Telugu Thaana Tibetan Tifinagh Tirhuta Ugaritic Vai Warang_Citi Yi".split(
    " ",
  );

/** Scripts that the table has for single characters, otherwise than Unicode now. */
const ODD: Readonly<Record<string, string>> = {
  "\u30fc": "Han",
  "\u0589": "Common",
  "\u061c": "Common",
  "\u0953": "Devanagari",
  "\u0954": "Devanagari",
};

const JAPANESE = new Set(["Hiragana", "Katakana"]);
const none = new RegExp(`[ ${members(WITHOUT_SCRIPT)}]`, "v");

let classes: (readonly [script: string, pattern: RegExp])[] | null = null;
const known = new Map<string, string | null>();

/** The script of a character; null where it has none. */
function scriptOf(character: string): string | null {
  const found = known.get(character);
  if (found !== undefined) return found;
  classes ??= SCRIPTS.map((script) => [script, new RegExp(`\\p{Script=${script}}`, "v")]);
  let script = ODD[character] ?? null;
  if (script === null && !none.test(character))
    script = classes.find(([, pattern]) => pattern.test(character))?.[0] ?? null;
  if (script !== null && JAPANESE.has(script)) script = "Han";
  known.set(character, script);
  return script;
}

/** Where pieces begin; what lies before the first belongs to none. */
export function scriptStarts(text: string): number[] {
  const starts: number[] = [];
  let last: string | null = null;
  let at = 0;
  for (const character of text) {
    const script = scriptOf(character);
    if (script !== null && script !== last) {
      starts.push(at);
      last = script;
    }
    at += character.length;
  }
  return starts;
}
