"""Small tokenizers of the kinds that models are published with, and the tokens and texts that Hugging Face's own
`tokenizers` gives for some texts.

    pip install tokenizers==0.23.3
    python golden/llm/makeTokenizers.py
"""

import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent / "tokenizers"
CORPUS = [
    "the cat sat on the mat and the dog sat on the log",
    "it's a dog's life, isn't it? they'll say 1234 times",
    "one day the cat and the dog ran to the park to play",
]
TEXTS = [
    "the dog sat on the cat's mat",
    "They'll play 12345 times!",
    "  two  spaces\nand a line",
    "naïve café – 猫 🐈",
    "",
]
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|"
    r"\s*[\r\n]+|\s+(?!\S)|\s+"
)


def gpt2():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=320,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=["<|endoftext|>"],
        ),
    )
    return t


def llama3():
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(LLAMA3), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(
        CORPUS,
        trainers.BpeTrainer(
            vocab_size=320,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            special_tokens=["<|begin_of_text|>"],
        ),
    )
    t.post_processor = processors.TemplateProcessing(
        single="<|begin_of_text|> $A", special_tokens=[("<|begin_of_text|>", 0)]
    )
    return t


def llama2():
    t = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{i:02X}>" for i in range(256))]
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=340, special_tokens=special))
    settings = json.loads(t.to_str())
    # Bytes are part of the vocabulary, but no text spells one by its name.
    settings["added_tokens"] = settings["added_tokens"][:3]
    t = Tokenizer.from_str(json.dumps(settings))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return t


def letters():
    """For the models of this folder: 64 tokens, the first three of them special."""
    t = Tokenizer(models.BPE(unk_token="<unk>"))
    t.decoder = decoders.Fuse()
    special = ["<unk>", "<s>", "</s>"]
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=64, special_tokens=special))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return t


def main():
    HERE.mkdir(exist_ok=True)
    cases = {}
    for name, make in {"gpt2": gpt2, "llama3": llama3, "llama2": llama2, "letters": letters}.items():
        tokenizer = make()
        tokenizer.save(str(HERE / f"{name}.json"), pretty=False)
        texts = TEXTS if name != "letters" else ["the dog sat on the cat's mat", ""]
        rows = []
        for text in texts:
            tokens = tokenizer.encode(text).ids
            rows.append({"text": text, "tokens": tokens, "decoded": tokenizer.decode(tokens)})
        cases[name] = rows
    (HERE / "cases.json").write_text(json.dumps(cases, ensure_ascii=False, indent=1) + "\n")


main()
