/** @file Runs a command inside another one: its progress is drawn, its text dropped, its `done` event returned. */
import { invariant } from "../../base/errors.ts";
import type { OnEvent } from "../../run/events.ts";
import { inputOf, parserOf } from "../command.ts";
import { commandNamed } from "../domains.ts";
import { Output } from "../output.ts";

/** The output of the inner command. */
class InnerOutput extends Output {
  /** The last JSON line of the command. */
  done: Record<string, unknown> | null = null;
  override readonly onEvent: OnEvent;

  constructor(onEvent: OnEvent) {
    super({ json: true, quiet: true });
    this.onEvent = onEvent;
  }

  override info(): void {}

  override result(): void {}

  override json(event: { event: string } & Record<string, unknown>): void {
    this.done = event;
  }
}

/**
 * Runs a command of a domain.
 * @param args as on the command line, from the domain on
 * @param onEvent receives the command's events
 * @returns the command's `done` event
 * @throws ParetoError what the command throws
 */
export async function runCommand(
  [domain, verb, ...args]: readonly [string, string, ...string[]],
  onEvent: OnEvent,
): Promise<Record<string, unknown>> {
  const spec = await commandNamed(domain, verb);
  const out = new InnerOutput(onEvent);
  const parser = parserOf([domain, verb], spec, async (parsed) => spec.run(out, await inputOf(spec, parsed)));
  await parser.parseAsync(args, { from: "user" });
  invariant(out.done !== null, `pareto ${domain} ${verb} ends in a JSON event`);
  return out.done;
}
