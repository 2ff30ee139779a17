/** @file The networks by name. */
import { bilstm } from "./bilstm.ts";
import { cnn } from "./cnn.ts";
import { larger } from "./larger.ts";
import { profamnet } from "./profamnet.ts";
import type { ProteinModel } from "./proteinModel.ts";

const models = { profamnet, cnn, bilstm, larger } satisfies Record<string, (classes: number) => ProteinModel>;

/** A network's name. */
export type ProteinModelName = keyof typeof models;

/** The names: ProFamNet and those it is compared with. */
export const PROTEIN_MODELS = Object.keys(models) as ProteinModelName[];

/** A network for so many families. */
export function proteinModel(name: ProteinModelName, classes: number): ProteinModel {
  return models[name](classes);
}
