"""Logits of tiny language models with random weights, by Hugging Face transformers.

    pip install torch==2.15.0 transformers==5.23.0 safetensors
    python golden/llm/make.py         # all
    python golden/llm/make.py --more  # the cases of MORE alone, with weights that are there

Each folder holds a model as it is published (config.json, weights) and `logits.safetensors`: for each case the logits
[70, vocabulary] of the text `tokens`, 50 tokens read at once and 20 one by one over the cache. `cases.json` says
what a case changes in the config. Weights have a deviation of 0.3 so that attention discriminates between keys.
"""

import json
import shutil
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from transformers import AutoConfig, AutoModelForCausalLM, set_seed
from transformers.models.mpt import modeling_mpt

HERE = Path(__file__).parent
PROMPT, STEPS, VOCABULARY = 50, 20, 64
LLAMA = dict(
    hidden_size=32,
    intermediate_size=48,
    num_hidden_layers=2,
    num_attention_heads=4,
    num_key_value_heads=2,
    vocab_size=VOCABULARY,
    max_position_embeddings=128,
    rms_norm_eps=1e-5,
    bos_token_id=1,
    eos_token_id=2,
)
MPT = dict(n_layers=2, max_seq_len=128, vocab_size=VOCABULARY, eos_token_id=0)
QUARTERS = [1.0, 1.5, 2.0, 3.0]
ROTARY = {
    "linear": {"rope_type": "linear", "factor": 4.0},
    "dynamic": {"rope_type": "dynamic", "factor": 2.0},
    "llama3": {
        "rope_type": "llama3",
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    },
    "yarn": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32},
    "longrope": {
        "rope_type": "longrope",
        "factor": 4.0,
        "short_factor": QUARTERS,
        "long_factor": [2 * x for x in QUARTERS],
        "original_max_position_embeddings": 32,
    },
}

# Folder: (config, {case: what it changes in the config}).
MODELS = {
    "llama": (
        dict(model_type="llama", **LLAMA),
        {
            "default": {},
            **{
                kind: {"rope_parameters": {"rope_theta": 10000.0, **rope}}
                | ({"max_position_embeddings": 32} if kind == "dynamic" else {})
                for kind, rope in ROTARY.items()
            },
            "mistral": {"model_type": "mistral", "sliding_window": 16},
        },
    ),
    "qwen2": (dict(model_type="qwen2", tie_word_embeddings=True, **LLAMA), {"default": {}}),
    "qwen3": (dict(model_type="qwen3", head_dim=16, **LLAMA), {"default": {}}),
    "gptj": (
        dict(
            model_type="gptj",
            n_embd=32,
            n_layer=2,
            n_head=4,
            rotary_dim=4,
            n_positions=128,
            vocab_size=VOCABULARY,
            bos_token_id=0,
            eos_token_id=0,
        ),
        {"default": {}},
    ),
    "mpt": (
        dict(model_type="mpt", d_model=32, n_heads=8, **MPT),
        {
            "default": {},
            "clip": {"attn_config": {"alibi": True, "clip_qkv": 0.5}},
            "alibi16": {"attn_config": {"alibi": True, "alibi_bias_max": 16}},
        },
    ),
    "mpt6": (dict(model_type="mpt", d_model=24, n_heads=6, **MPT), {"default": {}}),
    "gpt2": (
        dict(
            model_type="gpt2",
            n_embd=32,
            n_layer=2,
            n_head=4,
            n_positions=128,
            vocab_size=VOCABULARY,
            bos_token_id=0,
            eos_token_id=0,
        ),
        {
            "default": {},
            "erf": {"activation_function": "gelu", "scale_attn_by_inverse_layer_idx": True},
        },
    ),
}


# Further cases of the same weights, by folder. They are computed last, so that they change no weights.
MORE = {
    "qwen2": {
        "someWindows": {
            "use_sliding_window": True,
            "sliding_window": 16,
            "max_window_layers": 1,
            "layer_types": None,
        }
    },
    "qwen3": {
        "someWindows": {
            "use_sliding_window": True,
            "sliding_window": 12,
            "layer_types": ["sliding_attention", "full_attention"],
        }
    },
    "gpt2": {
        name: {"activation_function": name}
        for name in ["relu", "silu", "gelu_python", "gelu_fast", "quick_gelu", "gelu_10", "relu2", "tanh"]
    },
    "gptj": {"relu": {"activation_function": "relu"}},
}


# transformers' MPT takes 8 for alibi_bias_max whatever the config says (and 4 for expansion_ratio); the original code
# and the published storywriter, whose value is 16, do not.
modeling_mpt.MptModel.build_mpt_alibi_tensor = lambda self, heads, length, device=None: (
    modeling_mpt.build_mpt_alibi_tensor(heads, length, self.config.attn_config.alibi_bias_max, device)
)


def build(config):
    config = dict(config)
    model_type = config.pop("model_type")
    return AutoModelForCausalLM.from_config(
        AutoConfig.for_model(model_type, **config), attn_implementation="eager", dtype=torch.float32
    ).eval()


@torch.no_grad()
def logits(model, tokens):
    first = model(tokens[None, :PROMPT], use_cache=True)
    rows, cache = [first.logits[0]], first.past_key_values
    for i in range(PROMPT, PROMPT + STEPS):
        out = model(tokens[None, i : i + 1], past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        rows.append(out.logits[0])
    return torch.cat(rows).contiguous()


def more():
    """Adds the cases of MORE to folders that are there."""
    cases = json.loads((HERE / "cases.json").read_text())
    tokens = torch.tensor(cases["tokens"])
    for name, changes in MORE.items():
        folder = HERE / name
        config = json.loads((folder / "config.json").read_text())
        weights = load_file(folder / "model.safetensors")
        results = load_file(folder / "logits.safetensors")
        for case, change in changes.items():
            other = build(config | change)
            missing, unexpected = other.load_state_dict(weights, strict=False)
            assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
            results[case] = logits(other, tokens)
        save_file(results, folder / "logits.safetensors")
        cases["models"][name] |= changes
    (HERE / "cases.json").write_text(json.dumps(cases) + "\n")


def main():
    set_seed(20260311)
    tokens = torch.randint(3, VOCABULARY, (PROMPT + STEPS,))
    cases = {"prompt": PROMPT, "tokens": tokens.tolist(), "models": {}}
    for name, (config, changes) in MODELS.items():
        folder = HERE / name
        shutil.rmtree(folder, ignore_errors=True)
        model = build(config)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.3)
            else:
                parameter.data.add_(0.1 * torch.randn_like(parameter))
        # Several files, as large models are published, for one of them.
        model.save_pretrained(folder, max_shard_size="24KB" if name == "llama" else "1GB")
        (folder / "generation_config.json").unlink(missing_ok=True)
        results = {}
        for case, change in changes.items():
            other = build(config | change)
            other.load_state_dict(model.state_dict())
            results[case] = logits(other, tokens)
        save_file(results, folder / "logits.safetensors")
        cases["models"][name] = changes
    (HERE / "cases.json").write_text(json.dumps(cases) + "\n")


if "--more" not in sys.argv:
    main()
more()
