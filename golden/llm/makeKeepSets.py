"""What Keyformer and H2O keep on the tiny models of `make.py`: an oracle that shares no code with the project.

    pip install torch==2.15.0 transformers==5.23.0 safetensors
    python golden/llm/makeKeepSets.py

The models are Hugging Face's; an attention of this script's own takes the place of theirs. It keeps every key and
value and masks those that a policy dropped, and sums scores in float64. `keepSets.json` holds, for each model and
policy, the positions kept after the prompt [layer][kvHead][…], the position dropped at each step [step][layer][kvHead],
the logits of the last step, and the smallest difference of scores that decided anything.
"""

import json
from pathlib import Path

import numpy as np
import torch
from transformers import AttentionInterface, AutoModelForCausalLM

HERE = Path(__file__).parent
MODELS = ["llama", "qwen2", "qwen3", "gpt2"]
BUDGET, SEED = 20, 1234
# recent tokens, temperature at the start and at the end, noise
POLICIES = {"keyformer": (6, 1, 2, True), "keyformer without noise": (6, 1, 2, False), "h2o": (10, 1, 1, False)}
MASK = np.uint64(0xFFFFFFFF)


def philox(counter, key):
    """Philox4x32-10 (Salmon et al., 2011), words in arrays of uint64."""
    c0, c1, c2, c3 = (np.asarray(c, np.uint64) for c in counter)
    k0, k1 = (np.uint64(k) for k in key)
    for _ in range(10):
        a, b = c0 * np.uint64(0xD2511F53), c2 * np.uint64(0xCD9E8D57)
        c0, c1, c2, c3 = (b >> np.uint64(32)) ^ c1 ^ k0, b & MASK, (a >> np.uint64(32)) ^ c3 ^ k1, a & MASK
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & MASK, (k1 + np.uint64(0xBB67AE85)) & MASK
    return c0, c1, c2, c3


assert [hex(int(w)) for w in philox((0, 0, 0, 0), (0, 0))] == ["0x6627e8d5", "0xe169c58d", "0xbc57ac4c", "0x9b00dbd8"]


def gumbel(layer, heads, queries, keys):
    """[heads, queries, keys]: noise of the pair of positions, word 0 of its block."""
    head, query, key = np.meshgrid(np.arange(heads), queries, keys, indexing="ij")
    word = philox((key, query, layer << 16 | head, np.zeros_like(key)), (SEED, 0))[0]
    return -np.log(-np.log(((word >> np.uint64(9)).astype(np.float64) + 0.5) * 2.0**-23))


def softmax(x):
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)


class Evicting:
    """The caches of all layers."""

    def __init__(self, policy, steps):
        self.recent, self.tau, self.end, self.noise = POLICIES[policy]
        self.horizon, self.step, self.scores, self.live = steps, 0, {}, {}
        self.dropped, self.kept, self.margin = {}, {}, float("inf")

    def noisy(self, layer, logits, queries, keys):
        tau = self.tau + self.step * (self.end - self.tau) / self.horizon
        noise = gumbel(layer, logits.shape[0], queries, keys) if self.noise else 0
        return softmax((logits + noise) / tau)

    def attend(self, layer, logits, group):
        """Attention weights [heads, queries, keys] of logits, which hold −inf for later keys; decides what to keep."""
        heads, queries, keys = logits.shape
        kv_heads = heads // group
        positions = np.arange(keys)
        if layer not in self.live:
            self.live[layer] = [np.arange(keys) for _ in range(kv_heads)]
            self.scores[layer] = np.zeros((kv_heads, 4096))
            first = True
        else:
            self.live[layer] = [np.append(live, keys - 1) for live in self.live[layer]]
            first = False
        weights = np.zeros_like(logits)
        for kv in range(kv_heads):
            mine = slice(kv * group, (kv + 1) * group)
            hidden = np.setdiff1d(positions, self.live[layer][kv])
            seen = logits[mine].copy()
            seen[..., hidden] = -np.inf
            weights[mine] = softmax(seen)
        for kv in range(kv_heads):
            mine = slice(kv * group, (kv + 1) * group)
            # noise is of the query head's own number
            rows = logits.copy()
            rows[..., np.setdiff1d(positions, self.live[layer][kv])] = -np.inf
            row = self.noisy(layer, rows, np.arange(keys - queries, keys), positions)[mine]
            self.scores[layer][kv, :keys] += row.mean(0).sum(0)
            self.decide(layer, kv, keys, first)
        return weights

    def decide(self, layer, kv, seen, first):
        live, scores = self.live[layer][kv], self.scores[layer][kv]
        older, newest = live[: -self.recent], live[-self.recent :]
        order = older[np.argsort(-scores[older], kind="stable")]
        room = BUDGET - self.recent
        best, rest = order[:room], order[room:]
        self.margin = min(self.margin, scores[best[-1]] - scores[rest[0]])
        self.live[layer][kv] = np.concatenate([np.sort(best), newest])
        if first:
            self.kept.setdefault(layer, []).append(self.live[layer][kv].tolist())
        else:
            assert len(rest) == 1
            self.dropped.setdefault(self.step, {}).setdefault(layer, []).append(int(rest[0]))


current = None


def evicting_attention(module, query, key, value, attention_mask, scaling=None, **_):
    layer = module.layer_idx
    group = query.shape[1] // key.shape[1]
    keys = key.repeat_interleave(group, 1)[0].double()
    values = value.repeat_interleave(group, 1)[0].double()
    logits = (query[0].double() @ keys.transpose(1, 2)) * (scaling or query.shape[-1] ** -0.5)
    later = torch.ones(logits.shape[1:], dtype=torch.bool).triu(logits.shape[2] - logits.shape[1] + 1)
    weights = current.attend(layer, logits.masked_fill(later, -torch.inf).numpy(), group)
    out = torch.from_numpy(weights) @ values
    return out.transpose(0, 1)[None].to(query.dtype).contiguous(), None


AttentionInterface.register("evicting", evicting_attention)


@torch.no_grad()
def run(model, policy, prompt, tokens):
    global current
    current = Evicting(policy, len(tokens) - prompt)
    text = torch.tensor([tokens])
    cache = model(text[:, :prompt], use_cache=True).past_key_values
    for i in range(prompt, len(tokens)):
        current.step += 1
        out = model(text[:, i : i + 1], past_key_values=cache, use_cache=True)
        cache = out.past_key_values
    return {
        "kept": [current.kept[layer] for layer in sorted(current.kept)],
        "dropped": [[by[layer] for layer in sorted(by)] for by in current.dropped.values()],
        "logits": [float(f"{x:.8g}") for x in out.logits[0, -1].tolist()],
        "margin": float(f"{current.margin:.3g}"),
    }


def main():
    cases = json.loads((HERE / "cases.json").read_text())
    found = {}
    for name in MODELS:
        model = AutoModelForCausalLM.from_pretrained(
            HERE / name, dtype=torch.float32, attn_implementation="evicting"
        ).eval()
        found[name] = {policy: run(model, policy, cases["prompt"], cases["tokens"]) for policy in POLICIES}
        print(name, {policy: made["margin"] for policy, made in found[name].items()})
    settings = {"budget": BUDGET, "seed": SEED, "recent": {name: policy[0] for name, policy in POLICIES.items()}}
    (HERE / "keepSets.json").write_text(json.dumps({**settings, "models": found}) + "\n")


main()
