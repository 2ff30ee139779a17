/** @file Every policy, and every CTR model, that ships, by kind, as data: for `pareto policies` and `docs/policies.md`. */
import { describeOptions, type OptionDescription } from "../run/policies/describe.ts";
import { POLICY_KINDS, type PolicyDefinition, type PolicyKind } from "../run/policies/policy.ts";

/** One policy. */
export interface ListedPolicy {
  kind: PolicyKind;
  name: string;
  summary: string;
  source: string;
  options: OptionDescription[];
}

/** What listing needs of a registry, whatever its policies decide. */
interface Listed {
  definitions: readonly Pick<PolicyDefinition<never>, "kind" | "name" | "summary" | "source" | "options">[];
}

/** Where each kind is registered. */
const registries: Readonly<Partial<Record<PolicyKind, () => Promise<Listed>>>> = {
  "kv.evict": async () => (await import("../llm/kv/kvPolicies.ts")).kvPolicies,
  "recsys.model": async () => ({ definitions: (await import("../recsys/models/registry.ts")).CTR_MODELS }),
  "recsys.strategy": async () => (await import("../recsys/strategies/registry.ts")).strategyPolicies,
  "recsys.hot": async () => (await import("../recsys/strategies/fae/hotPolicies.ts")).hotPolicies,
  "recsys.rate": async () => (await import("../recsys/strategies/fae/shuffleRate.ts")).shuffleRatePolicies,
  "protein.threshold": async () =>
    (await import("../protein/threshold/thresholdPolicy.ts")).thresholdPolicies,
};

/** Kinds that have policies, in the order of {@link POLICY_KINDS}. */
export const LISTED_KINDS = (Object.keys(POLICY_KINDS) as PolicyKind[]).filter((kind) =>
  Object.hasOwn(registries, kind),
);

/** The policies of a kind, or of all, in the order of their registries. */
export async function listPolicies(kind?: PolicyKind): Promise<ListedPolicy[]> {
  const kinds = kind === undefined ? LISTED_KINDS : [kind];
  const loaded = await Promise.all(kinds.map((each) => registries[each]!()));
  return loaded.flatMap(({ definitions }) =>
    definitions.map(({ options, ...rest }) => ({
      kind: rest.kind,
      name: rest.name,
      summary: rest.summary,
      source: rest.source,
      options: describeOptions(options),
    })),
  );
}
