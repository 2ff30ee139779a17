/** @file The synthetic tasks by name. */
import { copy } from "./copy.ts";
import { lateRiser } from "./lateRiser.ts";
import { recall } from "./recall.ts";
import type { Task } from "./task.ts";
import { variables } from "./variables.ts";

const tasks = {
  recall: (name: string) => recall(name, "in-prompt"),
  "recall-after": (name: string) => recall(name, "after"),
  copy,
  variables,
  "late-riser": lateRiser,
} as const satisfies Record<string, (name: string) => Task>;

/** Names of the tasks. */
export type TaskName = keyof typeof tasks;

/** Every task's name. */
export const TASK_NAMES = Object.keys(tasks) as TaskName[];

/** A task by its name. */
export function taskNamed(name: TaskName): Task {
  return tasks[name](name);
}
