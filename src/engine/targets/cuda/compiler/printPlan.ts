/** @file A plan as text: steps with their launch shapes and operands, and the generated code. */
import type { BufferView, KernelArgument, Plan, Step } from "../plan.ts";

function viewText({ buffer, offsetBytes }: BufferView, plan: Plan): string {
  const at = offsetBytes === 0 ? "" : `+${offsetBytes}`;
  if (buffer.kind !== "scratch") return `${buffer.kind}:${buffer.name}${at}`;
  return `scratch@${(plan.offsets.get(buffer) ?? 0) + offsetBytes}`;
}

function argumentText(argument: KernelArgument, plan: Plan): string {
  if (argument.kind !== "buffer") return String(argument.value);
  const arrow = { read: "", write: "→", readWrite: "↔" }[argument.access];
  return `${arrow}${viewText(argument.view, plan)}`;
}

function stepText(step: Step, plan: Plan): string {
  const view = (v: BufferView) => viewText(v, plan);
  switch (step.kind) {
    case "kernel": {
      const shared = step.sharedBytes > 0 ? `, ${step.sharedBytes} shared bytes` : "";
      const given = step.arguments.map((argument) => argumentText(argument, plan)).join(", ");
      return `kernel  ${step.label}  <${step.grid.join("×")} blocks of ${step.block.join("×")}${shared}>  ${step.source.name}(${given})`;
    }
    case "matmul": {
      const operands = [step.a, step.b, ...(step.bias ? [step.bias] : [])].map(view).join(", ");
      return `${step.label}  (${operands}) → ${view(step.out)}`;
    }
    case "copy":
      return `copy    ${step.bytes} bytes  ${view(step.from)} → ${view(step.to)}`;
    case "clear":
      return `clear   ${step.bytes} bytes  ${view(step.to)}`;
  }
}

/**
 * A plan for people to read.
 * @param withCode whether the source of each kernel follows, once
 */
export function printPlan(plan: Plan, { withCode = true }: { withCode?: boolean } = {}): string {
  const lines = plan.steps.map((step, i) => `${String(i).padStart(3)} ${stepText(step, plan)}`);
  lines.push(`scratch memory: ${plan.arenaBytes} bytes`);
  if (!withCode) return `${lines.join("\n")}\n`;
  const sources = new Set(plan.steps.flatMap((step) => (step.kind === "kernel" ? [step.source.code] : [])));
  return [...lines, "", ...sources].join("\n");
}
