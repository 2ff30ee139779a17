/** @file The 22 ids and the rules of cleaning. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { ALPHABET_SIZE, cleanSequence, encodeResidues, UNKNOWN } from "../../../src/protein/alphabet.ts";

test("standard residues are 1 to 20 in alphabetical order, every other letter is 21", () => {
  expect([...encodeResidues("ACDEFGHIKLMNPQRSTVWY")]).toEqual(Array.from({ length: 20 }, (_, i) => i + 1));
  expect([...encodeResidues("XBZJUO")]).toEqual(Array.from({ length: 6 }, () => UNKNOWN));
  expect(ALPHABET_SIZE).toBe(UNKNOWN + 1);
});

test("case, whitespace, digits, gaps and a stop at the end do not count", () => {
  expect(cleanSequence("  1 mkv-l.A\t\r\n 61 GGx*\n")).toEqual({ ok: true, residues: "MKVLAGGX" });
  expect(cleanSequence("MK* \n 12 -")).toEqual({ ok: true, residues: "MK" });
});

test("an inner stop, an odd character and an empty sequence are refused", () => {
  expect(cleanSequence("MK*L")).toMatchObject({ ok: false, code: "FASTA_INNER_STOP" });
  expect(cleanSequence("*MKL")).toMatchObject({ ok: false, code: "FASTA_INNER_STOP" });
  expect(cleanSequence("MK@L")).toMatchObject({
    code: "FASTA_BAD_CHARACTER",
    message: expect.stringMatching(/"@"$/),
  });
  expect(cleanSequence("MKéL")).toMatchObject({
    code: "FASTA_BAD_CHARACTER",
    message: expect.stringMatching(/0xe9$/),
  });
  expect(cleanSequence("MKαL")).toMatchObject({ code: "FASTA_BAD_CHARACTER" });
  for (const empty of ["", " \n", "*", "--..", "123"]) {
    expect(cleanSequence(empty)).toMatchObject({ ok: false, code: "FASTA_EMPTY" });
  }
});

test("any text is cleaned to letters or refused, and cleaning twice changes nothing", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      const cleaned = cleanSequence(text);
      if (!cleaned.ok) return;
      expect(cleaned.residues).toMatch(/^[A-Z]+$/);
      expect(cleanSequence(cleaned.residues)).toEqual(cleaned);
      expect(encodeResidues(cleaned.residues).every((id) => id >= 1 && id <= UNKNOWN)).toBe(true);
    }),
  );
});
