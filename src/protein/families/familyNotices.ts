/** @file What a user should know of families that were read: what was left out, and why. */
import type { FamilyReport } from "./families.ts";

/** One sentence for each kind of thing that was left out. */
export function familyNotices(report: FamilyReport): string[] {
  const { bad, withoutFamily, ambiguous, tooSmall, packing } = report;
  const found = [...packing];
  if (bad.count > 0) {
    const [first] = bad.first;
    found.push(
      `${bad.count} of ${report.records} records cannot be used, the first at line ${first!.line} of ${first!.file}: ${first!.message}`,
    );
  }
  if (withoutFamily > 0) found.push(`${withoutFamily} records name no family and are left out`);
  if (ambiguous > 0) found.push(`${ambiguous} sequences stand in several families and are left out`);
  if (tooSmall.length > 0) {
    const names = tooSmall.slice(0, 5).map(({ name, distinct }) => `${name} (${distinct})`);
    const more = tooSmall.length > names.length ? ", …" : "";
    found.push(
      `families that are too small are left out, ${tooSmall.length} of them: ${names.join(", ")}${more}`,
    );
  }
  return found;
}
