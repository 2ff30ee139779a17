"""Traces of cache policies over made-up logits, by a plain implementation of their rules in float64: what each head keeps
and scores after a prompt, decoded tokens and a further turn, for many random options. `tests/parity/llm/traces.test.ts`
feeds the same logits to the library.

    pip install numpy==2.4.6
    python golden/llm/makeTraces.py
"""

import json
import math
import random
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
TRACES = 120
LOW = 0xFFFFFFFF
EULER = 0.5772156649015329


class NearTie(Exception):
    """A choice that rounding to float32 could turn round."""


def philox(counter, key):
    c, k = list(counter), list(key)
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [(b >> 32) ^ c[1] ^ k[0], b & LOW, (a >> 32) ^ c[3] ^ k[1], a & LOW]
        k = [(k[0] + 0x9E3779B9) & LOW, (k[1] + 0xBB67AE85) & LOW]
    return c


def uniform(word):
    return ((word >> 9) + 0.5) * 2**-23


def logit(case, layer, head, query, key):
    a, b, c, d, e, f, modulus, hidden = case["lattice"]
    if hidden and key != query and (5 * query + 3 * key + head) % hidden == 0:
        return -math.inf
    if case["window"] and key <= query - case["window"]:
        return -math.inf
    return ((a * query + b * key + c * query * key + d * head + e * layer + f * head * key) % modulus) * case["scale"]


def key_of(case, layer, kv_head, position):
    return [(7 * position + 3 * kv_head + layer) % case["lattice"][6] * 0.25, (5 * position + kv_head) % 3 * 0.5]


class Policy:
    """One layer's rules, from the options that the library's function of this name takes."""

    def __init__(self, name, options):
        self.name, self.options = name, options
        self.scored = name in ("keyformer", "h2o", "tova", "snapkv")
        self.accumulates = name in ("keyformer", "h2o")

    def get(self, option, default):
        return self.options.get(option, default)

    @property
    def is_mask(self):
        return self.get("mode", "paper") == "reference-mask"

    def visible(self, tokens):
        budget = self.options["budget"]
        return budget["count"] if "count" in budget else max(math.floor(tokens * budget["share"] + 1e-9), 2)

    def share(self, budget):
        recent = self.get("recent", {"share": 0.5 if self.name == "h2o" else 0.3})
        return recent["count"] if "count" in recent else math.floor(budget * recent["share"] + 1e-9)

    def budget(self, tokens):
        if self.name == "full":
            return math.inf
        k = self.visible(tokens)
        if self.is_mask:
            return k - 1 if self.share(k) > 0 else math.inf
        return k

    def recent(self, k):
        """Newest tokens that stay; of the authors' masks, those that count the coming token."""
        if self.is_mask:
            return min(self.share(k + 1), k + 1)
        if self.name == "snapkv" and "recent" not in self.options:
            return min(32, k // 2)
        return min(max(self.share(k), 1), k)

    def sinks(self, k):
        if self.name == "streaming":
            return min(self.get("sinks", 4), k - 1)
        return min(self.get("sinks", 0), k - self.recent(k)) if self.name == "keyformer" else 0

    def temperature(self, step):
        if self.name != "keyformer":
            return 1
        start, end = self.get("tauInit", 1), self.get("tauEnd", 2)
        if start == end:
            delta = 0
        else:
            delta = self.get("tauDelta", (end - start) / self.options["horizon"])
        if self.get("noise", "gumbel") == "expected":
            low, high = (1 + start**3) ** (1 / 3), (1 + end**3) ** (1 / 3)
            delta *= 1 if start == end else (high - low) / (end - start)
            start, end = low, high
        return min(max(start + step * delta, min(start, end)), max(start, end))

    def noise(self, case, layer, head, query, key):
        kind = self.get("noise", "gumbel") if self.name == "keyformer" else "none"
        if kind in ("none", "expected"):
            return 0.0
        if kind == "constant":
            return EULER
        query = 0 if self.get("noiseReuse", "fresh") == "per-key" else query
        words = philox([key, query, layer << 16 | head, case["stream"]], [case["seed"] & LOW, case["seed"] >> 32])
        if kind == "gumbel":
            return -math.log(-math.log(uniform(words[0])))
        radius = math.sqrt(-2 * math.log(uniform(words[0])))
        return EULER + math.pi / math.sqrt(6) * radius * math.cos(2 * math.pi * uniform(words[1]))


class Text:
    """One text: the positions that each head of each layer holds, and their scores."""

    def __init__(self, case):
        self.case = case
        self.policies = [
            Policy("full", {}) if own == "full" else Policy(case["policy"], {**case["options"], **own})
            for own in case["layers"]
        ]
        self.shared = self.policies[0].get("scope", "layer") == "shared"
        self.held = [[{} for _ in range(case["kvHeads"])] for _ in self.policies]
        self.seen = self.decoded = self.read_tokens = 0

    def arrive(self, position):
        for layer, policy in enumerate(self.policies):
            for head, held in enumerate(self.held[layer]):
                score = 0.0
                if policy.name == "knorm":
                    score = -math.hypot(*key_of(self.case, layer, head, position))
                if policy.name == "random":
                    counter = [position, LOW, layer << 16 | head, self.case["stream"]]
                    score = uniform(philox(counter, [self.case["seed"] & LOW, self.case["seed"] >> 32])[0])
                held[position] = score

    def add_row(self, layer, head, query, step):
        policy, held, group = self.policies[layer], self.held[layer][head], self.case["group"]
        keys = [position for position in held if position <= query]
        rows = []
        for query_head in range(head * group, (head + 1) * group):
            logits = [logit(self.case, layer, query_head, query, key) for key in keys]
            noisy = np.array([
                (x + policy.noise(self.case, layer, query_head, query, key)) / policy.temperature(step)
                for key, x in zip(keys, logits)
            ])
            weights = np.exp(noisy - noisy.max())
            rows.append(weights / weights.sum())
        reduce = {"mean": np.mean, "sum": np.sum, "max": np.max}[policy.get("groupReduce", "mean")]
        for key, score in zip(keys, reduce(rows, axis=0)):
            held[key] += score

    def settle(self, layer):
        """TOVA's heads decide by their mean."""
        heads = self.held[layer]
        if self.policies[layer].name == "tova":
            for position in heads[0]:
                mean = sum(held[position] for held in heads) / len(heads)
                for held in heads:
                    held[position] = mean

    def read(self, tokens):
        first, self.seen = self.seen, self.seen + tokens
        self.read_tokens = self.seen
        for position in range(first, self.seen):
            self.arrive(position)
        for layer, policy in enumerate(self.policies):
            for head, held in enumerate(self.held[layer]):
                if policy.scored and not policy.accumulates:
                    held.update(dict.fromkeys(held, 0.0))
                voters = {"tova": 1, "snapkv": 0}.get(policy.name, tokens)
                if policy.name == "snapkv":
                    voters = min(policy.recent(policy.budget(self.seen)), self.seen)
                if policy.scored:
                    for query in range(max(first, self.seen - voters), self.seen):
                        self.add_row(layer, head, query, self.decoded)
                if policy.name == "snapkv":
                    self.pool(held, self.seen - voters, policy.get("pool", 5))
            self.settle(layer)
        self.keep(lambda policy, k, count: count > k)

    @staticmethod
    def pool(held, voted_to, width):
        voted = [position for position in sorted(held) if position < voted_to]
        votes = [held[position] for position in voted]
        held.update(dict.fromkeys(held, 0.0))
        for at, position in enumerate(voted):
            held[position] = sum(votes[max(0, at - width // 2) : at + width // 2 + 1]) / width

    def step(self):
        position = self.seen
        self.decoded += 1
        self.arrive(position)
        for layer, policy in enumerate(self.policies):
            for head, held in enumerate(self.held[layer]):
                if policy.accumulates or policy.name == "tova":
                    factor = 0 if policy.name == "tova" else policy.get("damping", 1)
                    held.update({key: factor * score for key, score in held.items()})
                    self.add_row(layer, head, position, self.decoded)
            self.settle(layer)
        self.seen += 1
        self.keep(lambda policy, k, count: count >= k + policy.get("evictEvery", 1), is_step=True)

    def keep(self, is_over, is_step=False):
        every = range(len(self.policies))
        for layers in [list(every)] if self.shared else [[layer] for layer in every]:
            policy = self.policies[layers[0]]
            k = policy.budget(self.read_tokens)
            for head in range(self.case["kvHeads"]):
                scores = {p: sum(self.held[layer][head][p] for layer in layers) for p in self.held[layers[0]][head]}
                window = self.case["window"]
                live = [p for p in sorted(scores) if not window or p > self.seen - window]
                if is_over(policy, k, len(live)):
                    live = (self.after_step if is_step else self.after_read)(policy, k, live, scores)
                for layer in layers:
                    held = self.held[layer][head]
                    self.held[layer][head] = {p: held[p] for p in sorted(live)}

    def best(self, policy, candidates, scores, count):
        order = sorted(candidates, key=lambda p: (-scores[p], p))
        kept, gone = order[:count], order[count:]
        for stays in kept:
            for goes in gone:
                gap = scores[stays] - scores[goes]
                # Sums in another order may differ in their last bit, so that they are no ties there.
                if 0 < gap < 3e-6 * (1 + abs(scores[stays])) or (gap == 0 and policy.accumulates | (policy.name == "snapkv")):
                    raise NearTie
        return kept

    def after_read(self, policy, k, live, scores):
        if policy.name == "window":
            return live[-k:]
        if policy.name == "tova":
            return self.best(policy, live, scores, k)
        sinks = policy.sinks(k)
        recent = k - sinks if policy.name == "streaming" else policy.recent(k)
        stay = [p for p in live if p < sinks or p >= self.seen - recent]
        rest = [p for p in live if p not in stay]
        if policy.is_mask:
            # The authors' masks: the token at distance `recent` is in neither set.
            rest = [p for p in live if p < self.seen - recent]
            stay = [p for p in live if p > self.seen - recent]
        free = max(0, k - len(stay))
        if policy.name == "streaming":
            return stay + rest[len(rest) - min(free, len(rest)) :]
        return stay + self.best(policy, rest, scores, free)

    def after_step(self, policy, k, live, scores):
        while len(live) > k:
            if policy.name == "window":
                goes = live[0]
            elif policy.name == "streaming":
                goes = next(p for p in live if p >= policy.sinks(k))
            elif policy.name == "snapkv":
                goes = next(p for p in live if p >= max(0, self.read_tokens - policy.recent(k)))
            elif policy.is_mask:
                goes = self.seen - policy.recent(k)
            else:
                recent = 0 if policy.name == "tova" else policy.recent(k)
                sinks = policy.sinks(k)
                candidates = [p for p in live if sinks <= p < self.seen - recent]
                stay = self.best(policy, candidates, scores, len(candidates) - 1)
                goes = next(p for p in candidates if p not in stay)
            live = [p for p in live if p != goes]
        return live

    @property
    def state(self):
        return [
            [{"positions": list(held), "scores": [float(f"{x:.7g}") for x in held.values()]} for held in heads]
            for heads in self.held
        ]


def random_case(draw):
    """Options of one trace."""
    layers = draw.choice([1, 1, 2])
    new_tokens = draw.randrange(1, 20)
    modulus = draw.choice([2, 3, 7, 11, 101, 997])
    case = {
        "kvHeads": draw.choice([1, 1, 2]),
        "group": draw.choice([1, 2, 3, 4]),
        "window": draw.choice([0, 0, 0, draw.randrange(2, 30)]),
        "lattice": [*(draw.randrange(1, 50) for _ in range(5)), draw.randrange(9), modulus, draw.choice([0, 0, 5, 13])],
        "scale": draw.choice([0.01, 0.1, 0.3]) * (1 if modulus < 100 else 0.03),
        "seed": draw.choice([1234, draw.randrange(2**53)]),
        "stream": draw.choice([0, 0, 7, LOW]),
        "maxNewTokens": new_tokens,
        "reads": [{"tokens": draw.choice([1, 2, 3, draw.randrange(4, 36)]), "newTokens": draw.choice([new_tokens, new_tokens + 6])}],
        "layers": [{}] * layers,
    }
    if draw.random() < 0.35:
        case["reads"].append({"tokens": draw.randrange(1, 16), "newTokens": draw.randrange(8)})
    names = ["keyformer"] * 8 + ["h2o", "tova", "snapkv", "window", "streaming", "knorm", "random"]
    name = draw.choice(names)
    ratio = {"share": draw.choice([0.05, 0.2, 0.29, 0.5, 0.57, 0.7, 0.9, 1])}
    options = {"budget": draw.choice([ratio, {"count": draw.randrange(2, 20)}])}
    if name not in ("tova", "window", "streaming") and draw.random() < 0.6:
        share = {"share": draw.choice([0, 0.1, 0.2, 0.3, 0.5, 1])}
        options["recent"] = draw.choice([share, {"count": draw.randrange(10)}])
    if name == "streaming":
        options["sinks"] = draw.randrange(8)
    if name == "snapkv":
        options["pool"] = draw.choice([1, 3, 5, 7])
    if name in ("keyformer", "h2o"):
        options["groupReduce"] = draw.choice(["mean", "sum", "max"])
    if name == "keyformer":
        options["horizon"] = new_tokens
        options["noise"] = draw.choice(["gumbel", "gumbel", "none", "gaussian", "constant", "expected"])
        options["noiseReuse"] = draw.choice(["fresh", "fresh", "per-key"])
        options["tauInit"], options["tauEnd"] = draw.choice([(1, 2), (1, 2), (1, 1), (1, 4), (2, 1), (0.5, 2)])
        for option, share, values in (
            ("tauDelta", 0.2, [0.01, 0.1, 0.5]),
            ("sinks", 0.3, range(6)),
            ("evictEvery", 0.3, range(1, 9)),
            ("positions", 0.3, ["new"]),
            ("scope", 0.25, ["shared"]),
            ("damping", 0.2, [0.9, 0.975]),
        ):
            if draw.random() < share:
                options[option] = draw.choice(list(values))
        if draw.random() < 0.15:
            options = {key: value for key, value in options.items() if key not in ("sinks", "evictEvery")}
            share = {"share": draw.choice([0, 0.2, 0.5, 1])}
            options |= {"mode": "reference-mask", "budget": {"share": draw.choice([0.3, 0.5, 0.8, 1])}, "recent": share}
            case["window"], case["reads"] = 0, case["reads"][:1]
        elif "scope" not in options:
            own = [{}, {}, {"budget": {"count": 9}}, {"noise": "none"}, {"tauEnd": 3, "recent": {"count": 2}}, "full"]
            case["layers"] = [draw.choice(own) for _ in range(layers)]
    return {**case, "policy": name, "options": options}


def main():
    traces = []
    draw = random.Random(7)
    while len(traces) < TRACES:
        case = random_case(draw)
        text = Text(case)
        states = []
        try:
            for read in case["reads"]:
                text.read(read["tokens"])
                states.append(text.state)
                for _ in range(read["newTokens"]):
                    text.step()
                states.append(text.state)
        except NearTie:
            continue
        traces.append({**case, "states": states})
    lines = ",\n".join(json.dumps(trace, separators=(",", ":")) for trace in traces)
    (HERE / "traces.json").write_text(f"[\n{lines}\n]\n")


main()
