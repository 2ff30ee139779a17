/** @file The commands of `pareto`: one file each, in `commands/`. */
import type { Command } from "commander";
import { demoCommand } from "./commands/demo.ts";
import { doctorCommand } from "./commands/doctor.ts";
import { estimateCommand } from "./commands/estimate.ts";
import { evalCommand } from "./commands/evalLlm.ts";
import { evaluateCommand } from "./commands/evaluate.ts";
import { exportCommand } from "./commands/export.ts";
import { generateCommand } from "./commands/generate.ts";
import { predictCommand } from "./commands/predict.ts";
import { profileCommand } from "./commands/profile.ts";
import { proteinCommand } from "./commands/protein/protein.ts";
import { synthCommand } from "./commands/synth.ts";
import { trainCommand } from "./commands/train.ts";

/** Every command, in the order of `pareto --help`. */
export function allCommands(): Command[] {
  return [
    demoCommand(),
    synthCommand(),
    profileCommand(),
    trainCommand(),
    evaluateCommand(),
    predictCommand(),
    exportCommand(),
    proteinCommand(),
    generateCommand(),
    estimateCommand(),
    evalCommand(),
    doctorCommand(),
  ];
}
