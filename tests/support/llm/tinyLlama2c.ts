/** @file A tiny model with random weights in the layout of llama2.c, with a tokenizer, made anew for each test. */
import { writeFile } from "node:fs/promises";
import { Rng } from "../../../src/base/rng.ts";

const SIZES = { width: 16, inner: 24, layers: 2, heads: 4, kvHeads: 2, length: 64 };
/** What follows the three special tokens and the bytes; later pieces join earlier ones, the best score first. */
const PIECES = [" ", "a", "b", "c", " a", "ab", " ab", "bc", "é"];
const SCORES = [-100, -101, -102, -103, -3, -2, -1, -4, -104];
const VOCABULARY = 3 + 256 + PIECES.length;

/** Number of the token of a piece. */
export const tokenOf = (piece: string): number => 259 + PIECES.indexOf(piece);

/** The tokenizer's bytes. */
export function tokenizerBytes(): Buffer {
  const special = ["<unk>", "\n<s>\n", "\n</s>\n"].map((piece): [string, number] => [piece, 0]);
  const bytes = Array.from({ length: 256 }, (_, i): [string, number] => [
    `<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`,
    0,
  ]);
  const pieces = PIECES.map((piece, i): [string, number] => [piece, SCORES[i]!]);
  const tokens = [...special, ...bytes, ...pieces].map(([piece, score]) => {
    const text = Buffer.from(piece);
    const head = Buffer.alloc(8);
    head.writeFloatLE(score);
    head.writeInt32LE(text.length, 4);
    return Buffer.concat([head, text]);
  });
  const longest = Buffer.alloc(4);
  longest.writeInt32LE(7);
  return Buffer.concat([longest, ...tokens]);
}

/** The model's bytes. @param isTied whether the head is the embedding */
export function modelBytes(isTied = true): Buffer {
  const { width, inner, layers, heads, kvHeads, length } = SIZES;
  const kvWidth = (width / heads) * kvHeads;
  const perLayer = 2 * width + 2 * width * width + 2 * kvWidth * width + 3 * inner * width;
  const angles = length * (width / heads);
  const head = isTied ? 0 : VOCABULARY * width;
  const count = VOCABULARY * width + layers * perLayer + width + angles + head;
  const rng = new Rng(9);
  const header = Int32Array.of(
    width,
    inner,
    layers,
    heads,
    kvHeads,
    isTied ? VOCABULARY : -VOCABULARY,
    length,
  );
  const weights = Float32Array.from({ length: count }, () => 0.3 * rng.normal());
  return Buffer.concat([Buffer.from(header.buffer), Buffer.from(weights.buffer)]);
}

/** Writes both files; the tokenizer is the one that is found by the model's size. */
export async function writeTinyLlama2c(folder: string): Promise<string> {
  await writeFile(`${folder}/tiny.bin`, modelBytes());
  await writeFile(`${folder}/tok${VOCABULARY}.bin`, tokenizerBytes());
  return `${folder}/tiny.bin`;
}
