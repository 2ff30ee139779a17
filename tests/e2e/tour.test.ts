/** @file `pareto demo`, which `npm start` runs: the tour of the systems as a newcomer sees it. */
import { access, readFile } from "node:fs/promises";
import { once } from "node:events";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { tourStops } from "../../src/cli/tour/stops.ts";
import { jsonLines, type JsonLine, Workspace } from "./cli.ts";

interface Comparison {
  what: string;
  before: string;
  after: string;
}
interface Row {
  system: string;
  against: string;
  quality: Comparison;
  cost: Comparison;
  sentence: string;
  links: string[];
}

let work: Workspace;
let lines: JsonLine[];
let stderr: string;
let seconds: number;
beforeAll(async () => {
  work = await Workspace.create();
  const started = performance.now();
  const finished = await work.run(["demo", "--json", "--out", "tour"]);
  seconds = (performance.now() - started) / 1000;
  ({ stderr } = finished);
  expect(finished.status, stderr).toBe(0);
  lines = jsonLines(finished.stdout);
}, 600_000);
afterAll(() => work?.remove());

const rows = () => lines.at(-1)!["rows"] as Row[];
const row = (system: string) => rows().find((each) => each.system === system)!;
const number = (text: string) => Number(/[\d.,]+/.exec(text)![0].replaceAll(",", ""));

describe("the tour", () => {
  it("has a row a system, with what it was measured against, quality, cost and a sentence", () => {
    expect(lines.at(-1)!.event).toBe("done");
    expect(rows().map(({ system }) => system)).toEqual(tourStops.map(({ system }) => system));
    for (const { against, quality, cost, sentence } of rows()) {
      expect(against).toMatch(/\S/);
      for (const { what, before, after } of [quality, cost]) {
        expect(what).toMatch(/\S/);
        expect(before).toMatch(/\d/);
        expect(after).toMatch(/\d/);
      }
      expect(sentence).toMatch(/^[A-Z].*\.$/);
    }
    expect(stderr).toMatch(/^system +measured against/m);
    expect(stderr).toMatch(/^train: /m);
    expect(seconds).toBeGreaterThan(0);
  });

  it("shows each system at about its rival's quality or above, for fewer bytes", () => {
    const { FAE, Keyformer, ProFamNet } = Object.fromEntries(rows().map((each) => [each.system, each]));
    expect(number(FAE!.quality.after)).toBeGreaterThan(number(FAE!.quality.before) - 0.01);
    expect(number(Keyformer!.quality.after)).toBeGreaterThan(number(Keyformer!.quality.before) - 5);
    expect(number(ProFamNet!.quality.after)).toBeGreaterThan(number(ProFamNet!.quality.before));
    for (const { cost } of rows()) expect(bytes(cost.after)).toBeLessThan(bytes(cost.before));
  });

  it("says of FAE that its gain in time needs a GPU", () => {
    expect(row("FAE").sentence).toContain("needs a GPU");
  });

  it("writes one page with a picture a system, and links to runs that are there", async () => {
    const page = String(lines.at(-1)!["page"]);
    const html = await readFile(work.path(page), "utf8");
    expect(html.match(/<figure /g)).toHaveLength(tourStops.length);
    for (const { system, links } of rows()) {
      expect(html).toContain(system);
      expect(links.length).toBeGreaterThan(0);
      for (const link of links) {
        expect(html).toContain(`href="${link}"`);
        await access(work.path("tour", link));
      }
    }
  });

  it("lists the commands that it ran, as a user can run them", () => {
    const stops = lines.filter(({ event }) => event === "stop");
    expect(stops).toHaveLength(tourStops.length);
    for (const { commands } of stops)
      expect(commands).toContainEqual(expect.stringMatching(/^pareto \w+ \w+ /));
  });
});

it("ends within a second of Ctrl-C", async () => {
  const { child, done } = work.start(["demo", "--only", "profamnet", "--out", "stopped"]);
  let text = "";
  child.stderr!.on("data", (piece: string) => (text += piece));
  while (!text.includes("train: ")) await once(child.stderr!, "data");
  const stopped = performance.now();
  child.kill("SIGINT");
  await done;
  expect(performance.now() - stopped).toBeLessThan(1000);
  expect(child.signalCode).toBe("SIGINT");
});

function bytes(text: string): number {
  const [, digits, unit] = /^([\d.,]+) (\w+)$/.exec(text)!;
  const scale = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30 }[unit!]!;
  return Number(digits!.replaceAll(",", "")) * scale;
}
