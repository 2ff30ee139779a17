/**
 * @file Tells what a path given as a model is when it is none that can be opened: a file of another format, known by
 * its first bytes or its ending, or a name on the Hugging Face hub in place of a path. Each gets an error with its fix.
 */
import { basename, dirname, isAbsolute } from "node:path";
import { ParetoError } from "../../base/errors.ts";
import { missingFile } from "./modelErrors.ts";

/** First bytes that {@link refuseOtherFormat} looks at. */
export const FIRST_BYTES = 64;

/** How a file begins in whose place Git LFS would have downloaded the real one. */
const POINTER = "version https://git-lfs";

const CONVERT =
  'Convert the weights: load the model with transformers in Python and call save_pretrained("FOLDER"), which writes safetensors; then give that folder.';
const FOLDER =
  "Give the folder of a model as Hugging Face publishes it (config.json, safetensors, tokenizer.json).";

const GGML = ["lmgg", "fmgg", "tjgg", "algg", "ggml", "ggmf", "ggjt", "ggla"];
const COMPRESSED = ["\x1f\x8b", "\x28\xb5\x2f\xfd", "BZh", "\xfd7zXZ"];

/**
 * A pickle of protocol 2 to 5. A llama2.c file begins with its width, which for 640 is 0x80 0x02 0 0: no operation of a
 * pickle is 0.
 */
function isPickle(text: string): boolean {
  const [first = 0, protocol = 0, operation = 0] = Buffer.from(text, "latin1");
  return first === 0x80 && protocol >= 2 && protocol <= 5 && operation !== 0;
}

/** The length of a header, u64, and its JSON. */
function isSafetensors(text: string): boolean {
  return text.slice(4, 9) === "\0\0\0\0{";
}

/** Formats by how their files begin, in latin1. */
const byStart: readonly (readonly [isSo: (text: string) => boolean, what: string, fix: string])[] = [
  [(text) => text.startsWith("GGUF"), "a GGUF file", FOLDER],
  [(text) => GGML.some((start) => text.startsWith(start)), "a GGML file, which GGUF has replaced", FOLDER],
  [(text) => text.startsWith("PK\x03\x04") || isPickle(text), "weights pickled by PyTorch", CONVERT],
  [(text) => text.startsWith("\x89HDF"), "an HDF5 file, such as Keras and TensorFlow write", CONVERT],
  [
    (text) => COMPRESSED.some((start) => text.startsWith(start)),
    "a compressed file",
    "Unpack it, and give the folder or file inside.",
  ],
  [
    (text) => /^\s*<(!doctype|html)/i.test(text),
    "a web page",
    "Download the file itself; the address of its page on the hub has /blob/ where the file has /resolve/.",
  ],
  [isSafetensors, "a safetensors file, which holds weights alone", FOLDER],
];

/** Formats by the ending of their files, for those that are not known by their start. */
const byEnding: readonly (readonly [ending: RegExp, what: string, fix: string])[] = [
  [/\.gguf$/i, "a GGUF file", FOLDER],
  [/\.onnx(_data)?$/i, "an ONNX file", FOLDER],
  [/\.(pth?|ckpt)$|^pytorch_model.*\.bin$/i, "weights pickled by PyTorch", CONVERT],
  [/\.(h5|msgpack|tflite|ot|mlmodel|npz)$/i, "weights in another format", CONVERT],
];

/** Files that lie in a folder of a model. */
const PART_OF_FOLDER = /\.(json|safetensors|txt|model|jinja|md)$/i;

/** Whether a file is what Git leaves where Git LFS is not there. @param first its first bytes */
export function isLfsPointer(first: Uint8Array): boolean {
  return Buffer.from(first.buffer, first.byteOffset, first.byteLength).toString("latin1").startsWith(POINTER);
}

/** The error of such a file. */
export function lfsPointer(path: string): ParetoError {
  return new ParetoError({
    code: "LLM_MODEL_DAMAGED",
    where: path,
    message: "the file was not downloaded, got Git LFS's pointer to it",
    fix: "Run git lfs pull in the model's folder, or download the file itself.",
  });
}

function otherFormat(path: string, what: string, fix: string): ParetoError {
  return new ParetoError({
    code: "LLM_UNSUPPORTED",
    where: path,
    message: `a model is a folder with safetensors, or a llama2.c .bin file, got ${what}`,
    fix,
  });
}

/**
 * Refuses a file that is known not to be a model of llama2.c.
 * @param first its first {@link FIRST_BYTES} bytes, or fewer when it is shorter
 * @throws ParetoError LLM_FILE_MISSING for a part of a folder, LLM_UNSUPPORTED for another format, LLM_MODEL_DAMAGED
 */
export function refuseOtherFormat(path: string, first: Buffer): void {
  const name = basename(path);
  if (isLfsPointer(first)) throw lfsPointer(path);
  if (PART_OF_FOLDER.test(name))
    throw missingFile(
      path,
      "a model is a folder, or a llama2.c .bin file",
      name,
      `Give the model's folder, e.g. ${dirname(path)}.`,
    );
  const text = first.toString("latin1");
  for (const [isSo, what, fix] of byStart) if (isSo(text)) throw otherFormat(path, what, fix);
  for (const [ending, what, fix] of byEnding) if (ending.test(name)) throw otherFormat(path, what, fix);
}

/** Addresses of the hub, whose names lie behind them. */
const HUB_ADDRESS = /^(https?:\/\/(www\.)?(huggingface\.co|hf\.co)\/|hf:\/\/)/;
/** `owner/name`, or one of the hub's oldest models. */
const HUB_NAME = /^([\w][\w.-]*\/[\w][\w.-]*|gpt2(-medium|-large|-xl)?|distilgpt2)$/;

/**
 * The error of a model's path that leads to nothing. A name on the hub is told as one: nothing is ever downloaded.
 * @returns code FILE_MISSING
 */
export function missingModel(path: string): ParetoError {
  const name = path
    .replace(HUB_ADDRESS, "")
    .split("/")
    .slice(0, HUB_ADDRESS.test(path) ? 2 : undefined)
    .join("/");
  if (!isAbsolute(path) && HUB_NAME.test(name) && !/\.(bin|json|gguf|safetensors)$/.test(name))
    return new ParetoError({
      code: "FILE_MISSING",
      where: path,
      message: `there is no such folder, and models are not downloaded; this looks like a name on the Hugging Face hub, got ${path}`,
      fix: `Download it, e.g. huggingface-cli download ${name} --local-dir ${basename(name)}, and give that folder.`,
    });
  return new ParetoError({
    code: "FILE_MISSING",
    where: path,
    message: `there is no such file or folder, got ${path}`,
    fix: "Check the path, and the folder from which the command runs.",
  });
}
