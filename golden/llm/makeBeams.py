"""Texts that Hugging Face transformers finds by beam search on the tiny models of `make.py`.

    pip install torch==2.15.0 transformers==5.23.0 safetensors
    python golden/llm/makeBeams.py

`beams.json` holds for each case the prompt, the end tokens, the tokens found (the end token left out), the score
(mean log-probability) and why they ended.
"""

import json
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent
MODELS = ["llama", "qwen3", "gpt2", "gptj"]
NEW_TOKENS = 16


@torch.no_grad()
def search(model, prompt, beams, ends):
    out = model.generate(
        torch.tensor([prompt]),
        attention_mask=torch.ones(1, len(prompt), dtype=torch.int64),
        num_beams=beams,
        do_sample=False,
        early_stopping=True,
        length_penalty=1.0,
        max_new_tokens=NEW_TOKENS,
        eos_token_id=ends or None,
        pad_token_id=0,
        return_dict_in_generate=True,
        output_scores=True,
    )
    tokens = out.sequences[0, len(prompt) :].tolist()
    end = next((i for i, token in enumerate(tokens) if token in ends), None)
    return {
        "prompt": prompt,
        "beams": beams,
        "eosTokenIds": ends,
        "maxNewTokens": NEW_TOKENS,
        "tokens": tokens if end is None else tokens[:end],
        "score": round(out.sequences_scores[0].item(), 6),
        "finishReason": "length" if end is None else "stop",
    }


def main():
    tokens = json.loads((HERE / "cases.json").read_text())["tokens"]
    found = {}
    for name in MODELS:
        model = AutoModelForCausalLM.from_pretrained(HERE / name, dtype=torch.float32).eval()
        model.generation_config.eos_token_id = None
        model.generation_config.bos_token_id = None
        plain = search(model, tokens[:20], 4, [])
        # End tokens that a search meets: some of what it says without them.
        middle, late = plain["tokens"][6], plain["tokens"][11]
        found[name] = [
            plain,
            search(model, tokens[:20], 4, [middle]),
            search(model, tokens[:20], 4, [late, 5]),
            search(model, tokens[20:23], 2, [tokens[30]]),
            search(model, tokens[40:41], 3, [7, 9, 11]),
        ]
    endings = {case["finishReason"] for cases in found.values() for case in cases}
    assert endings == {"length", "stop"}, endings
    (HERE / "beams.json").write_text(json.dumps(found) + "\n")


main()
