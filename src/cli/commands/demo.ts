/** @file `pareto demo`: a tour of the systems, each at work on something small, in one table and one page. */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { formatSeconds } from "../../base/format.ts";
import { choice, listOf } from "../../base/optionSchemas.ts";
import { writePage } from "../../report/writePage.ts";
import { defineCommand } from "../command.ts";
import { endAtOnce } from "../interrupt.ts";
import { option, text } from "../options/spec.ts";
import { runCommand } from "../tour/runCommand.ts";
import { tourStops } from "../tour/stops.ts";
import { tourPage } from "../tour/tourPage.ts";
import { tourTable, type TourRow } from "../tour/tourTable.ts";

const NAMES = tourStops.map(({ name }) => name);

/** The command. */
export const command = defineCommand({
  summary:
    "Tour of the systems: run each on something small, measured against what it replaces, and show one table and one page. Takes some minutes.",
  operands: {},
  options: {
    only: option("systems", listOf(choice(NAMES)), {
      meaning: `Systems to run, between commas: ${NAMES.join(", ")}`,
      default: NAMES,
      defaultText: "all",
    }),
    out: option("dir", text, {
      meaning: "Folder of the runs and the page; what an earlier tour of a system left in it is replaced",
      default: join("runs", "tour"),
    }),
  },
  async run(out, { values }) {
    // The runs are small, and made anew: Ctrl-C ends the tour at once and saves none.
    using _ = endAtOnce();
    const stops = tourStops.filter(({ name }) => values.only.includes(name));
    const visited = [];
    const started = performance.now();
    for (const [i, stop] of stops.entries()) {
      out.info(`${i + 1} of ${stops.length}: ${stop.system}, ${stop.topic}`);
      await rm(join(values.out, stop.name), { recursive: true, force: true });
      const commands: string[] = [];
      const { figure, ...result } = await stop.run({
        path: (...parts) => join(values.out, ...parts),
        run: async (...args) => {
          commands.push(["pareto", ...args].join(" "));
          return runCommand(args, out.onEvent);
        },
      });
      const row: TourRow = { system: stop.system, ...result };
      out.json({ event: "stop", ...row, commands });
      visited.push({ row, figure, commands });
    }
    const page = join(values.out, "index.html");
    await writePage(page, tourPage(visited));
    const rows = visited.map(({ row }) => row);
    const seconds = (performance.now() - started) / 1000;
    out.result(`\n${tourTable(rows)}\n\n${formatSeconds(seconds)}; pictures and runs: ${page}`);
    out.json({ event: "done", page, seconds, rows });
  },
});
