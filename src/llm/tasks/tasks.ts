/** @file The synthetic tasks by name. */
import { copy } from "./copy.ts";
import { delayedRecall } from "./delayedRecall.ts";
import { recall } from "./recall.ts";
import type { Protocol, Task } from "./task.ts";
import { variable } from "./variable.ts";

const tasks = { recall, copy, variable, "delayed-recall": delayedRecall } as const satisfies Record<
  string,
  (name: string, protocol: Protocol) => Task
>;

/** Names of the tasks. */
export type TaskName = keyof typeof tasks;

/** Every task's name. */
export const TASK_NAMES = Object.keys(tasks) as TaskName[];

/** A task by its name. @param protocol of the question; delayed recall is asked for afterwards always */
export function taskNamed(name: TaskName, protocol: Protocol): Task {
  return tasks[name](name, protocol);
}
