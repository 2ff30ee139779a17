"""Tokenizers of every component that Hugging Face's `tokenizers` has, with its options, and hashes of the tokens that it gives
for hard texts. `hardTexts.ts` of the tests makes the same texts.

    pip install tokenizers==0.23.3 sentencepiece==0.2.3
    python golden/llm/makeTokenizerParts.py
"""

import gzip
import io
import json
import zlib
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

HERE = Path(__file__).parent / "tokenizers"
FRAGMENTS = json.loads((HERE / "fragments.json").read_text())
TEXTS = 2048
GROUP = 8


class Numbers:
    """A linear congruential generator; the high bits count."""

    def __init__(self, seed):
        self.state = seed

    def below(self, n):
        self.state = (self.state * 1664525 + 1013904223) % 2**32
        return self.state * n // 2**32


def hard_texts():
    numbers = Numbers(20261201)
    texts = []
    for _ in range(TEXTS):
        text = ""
        for _ in range(numbers.below(9)):
            kind = numbers.below(8)
            if kind == 0:
                point = numbers.below(0x110000)
                text += "" if 0xD800 <= point <= 0xDFFF else chr(point)
            elif kind == 1:
                # The planes where most text lies.
                text += chr(1 + numbers.below(0x3FFF))
            else:
                text += FRAGMENTS[numbers.below(len(FRAGMENTS))]
        texts.append(text)
    return texts


def hash_groups(rows):
    out = []
    for start in range(0, len(rows), GROUP):
        text = "\n".join(json.dumps(row, separators=(",", ":"), ensure_ascii=False) for row in rows[start : start + GROUP])
        out.append(zlib.crc32(text.encode("utf-8", "surrogatepass")))
    return out


TEXT_LIST = hard_texts()
BYTE_VOCABULARY = {f"<0x{byte:02X}>": byte for byte in range(256)}


def spelled():
    """Every piece becomes its bytes, and the end of a piece shows."""
    return Tokenizer(models.BPE(vocab=BYTE_VOCABULARY, merges=[], byte_fallback=True, end_of_word_suffix="</w>"))


CASES = []


def add(name, tokenizer, decoded=None):
    config = json.loads(tokenizer.to_str())
    is_spelled = config["model"].get("vocab") == BYTE_VOCABULARY
    if is_spelled:
        config["model"] = "spelled"
    case = {"name": name, "tokenizer": config}
    if decoded is None:
        case["hashes"] = hash_groups([tokenizer.encode(text).ids for text in TEXT_LIST])
    else:
        case["decoded"] = hash_groups([tokenizer.decode(ids, skip_special_tokens=True) for ids in decoded])
    CASES.append(case)


def refuse(name, tokenizer):
    CASES.append({"name": name, "tokenizer": json.loads(tokenizer.to_str()), "refused": True})


def normalizer(name, part):
    tokenizer = spelled()
    tokenizer.normalizer = part
    add(f"normalizer {name}", tokenizer)


def pre_tokenizer(name, part, norm=None):
    tokenizer = spelled()
    tokenizer.pre_tokenizer = part
    if norm is not None:
        tokenizer.normalizer = norm
    add(f"pre-tokenizer {name}", tokenizer)


def charsmap(rule):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the cat sat on the mat", "a dog ran"] * 10),
        model_writer=model,
        vocab_size=24,
        normalization_rule_name=rule,
        hard_vocab_limit=False,
        minloglevel=2,
    )
    proto = sentencepiece_model_pb2.ModelProto()
    proto.ParseFromString(model.getvalue())
    return proto.normalizer_spec.precompiled_charsmap


N, P, D = normalizers, pre_tokenizers, decoders
for clean in (True, False):
    for accents in (None, True, False):
        for lower in (True, False):
            name = f"BertNormalizer clean {clean} accents {accents} lower {lower}"
            normalizer(name, N.BertNormalizer(clean, clean != lower, accents, lower))
for name in ("Lowercase", "NFC", "NFD", "NFKC", "NFKD", "Nmt", "StripAccents", "ByteLevel"):
    normalizer(name, getattr(N, name)())
normalizer("NFKD, StripAccents, Lowercase", N.Sequence([N.NFKD(), N.StripAccents(), N.Lowercase()]))
normalizer("Precompiled nmt_nfkc", N.Precompiled(charsmap("nmt_nfkc")))
normalizer("Prepend", N.Prepend("▁x"))
for left in (True, False):
    normalizer(f"Strip left {left}", N.Strip(left, not left))
normalizer("Strip both", N.Strip(True, True))
for pattern, content in [(" ", "▁"), ("a", ""), ("$1.", "$&"), ("  ", " ")]:
    normalizer(f"Replace {pattern!r}", N.Replace(pattern, content))
for pattern, content in [(r"\s+", " "), (r" {2,}", "▁"), (r"x*", "-"), (r"^", "|"), (r"$", "|"), (r"[^\w\s]+", "$0")]:
    normalizer(f"Replace regex {pattern}", N.Replace(Regex(pattern), content))

pre_tokenizer("BertPreTokenizer", P.BertPreTokenizer())
for prefix in (True, False):
    for use in (True, False):
        pre_tokenizer(f"ByteLevel prefix {prefix} regex {use}", P.ByteLevel(prefix, use_regex=use))
pre_tokenizer("CharDelimiterSplit", P.CharDelimiterSplit("a"))
pre_tokenizer("Digits", P.Digits(False))
pre_tokenizer("Digits individual", P.Digits(True))
pre_tokenizer("FixedLength", P.FixedLength(3))
for scheme in ("first", "never", "always"):
    for split in (True, False):
        pre_tokenizer(f"Metaspace {scheme} split {split}", P.Metaspace("▁", scheme, split))
    pre_tokenizer(f"WhitespaceSplit, Metaspace {scheme}", P.Sequence([P.WhitespaceSplit(), P.Metaspace("_", scheme)]))
for norm in (N.Strip(), N.NFD(), N.Prepend("x"), N.Replace(" ", "▁"), N.Replace(Regex("^.."), "é"), N.BertNormalizer(), N.NFKC()):
    pre_tokenizer(
        f"Split, Metaspace first after {norm}",
        P.Sequence([P.Split(Regex("."), "isolated"), P.Metaspace("▁", "first")]),
        norm,
    )
    pre_tokenizer(f"Metaspace first after {norm}", P.Metaspace("▁", "first"), norm)
BEHAVIORS = ("removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous")
for behavior in BEHAVIORS:
    pre_tokenizer(f"Punctuation {behavior}", P.Punctuation(behavior))
    for invert in (True, False):
        pre_tokenizer(f"Split text {behavior} invert {invert}", P.Split("a", behavior, invert))
        pre_tokenizer(f"Split regex {behavior} invert {invert}", P.Split(Regex(r"\s|\d+"), behavior, invert))
    pre_tokenizer(f"Split empty matches {behavior}", P.Split(Regex(r"x*"), behavior))
for name in ("UnicodeScripts", "Whitespace", "WhitespaceSplit"):
    pre_tokenizer(name, getattr(P, name)())
pre_tokenizer("Punctuation, Digits", P.Sequence([P.Punctuation(), P.Digits(True)]))

PATTERNS = [
    # GPT-2, GPT-3.5 and Llama 3, Qwen 2, GPT-4o, DeepSeek, BLOOM, CLIP, Falcon, StarCoder.
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    r" ?[^(\s|[.,!?…。，、।۔،])]+",
    r"(?i)'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+",
    r"[0-9][0-9][0-9]",
    r"\p{N}{1,3}",
    r"(?=(\d{3})+(?!\d))",
    # Parts of Oniguruma's syntax.
    r"\b\w+\b",
    r"\B.",
    r"\w+|[^\w\s]+",
    r"\W\D\S",
    r"^\S+",
    r"\S+$",
    r"\A.",
    r".\z",
    r"\s\Z",
    r"(?>\s+|x)\S",
    r"a++.",
    r"[[:alpha:]&&[^a-e]]+",
    r"[^[:punct:][:space:]]+",
    r"[[:upper:]][[:lower:]]*",
    r"[[:alnum:]]|[[:cntrl:]]|[[:blank:]]",
    r"[[:graph:]]+",
    r"[[:print:]]+",
    r"[[:word:]]+",
    r"\h+",
    r"(?<=a)[^a]",
    r"(?<![a-z])[A-Z]",
    r"(?<name>e)(?:\u0301|t)",
    r"a{2}|b{,2}c|\.{1,}",
    r"\p{Han}|\p{Hiragana}+|\p{Katakana}+",
    r"\P{L}\p{^N}",
    r"\p{Alpha}+|\p{Space}+",
    r"[\x{1F600}-\x{1F64F}]|\x41|\u00e9",
    r"(?i:ÄÖ|Σ|K)",
    r"[a\-z\]]+|[\[{}]|[]a]",
    r"\t|\n|\r|\f|\e",
    r"\s*?\S+?",
    r"(a|b|ab)*c?",
    r".+?[.!?]|.+",
]
for pattern in PATTERNS:
    pre_tokenizer(f"Split {pattern}", P.Split(Regex(pattern), "isolated"))

CORPUS = [fragment for fragment in FRAGMENTS for _ in range(3)] + ["the cat sat on the mat, the dog's log"] * 5
WORDS = P.Sequence([P.WhitespaceSplit(), P.Punctuation()])


def trained(name, model, trainer, pre, norm=None, decoder=None, post=None, tokens=()):
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = pre
    if norm is not None:
        tokenizer.normalizer = norm
    tokenizer.train_from_iterator(CORPUS, trainer)
    if post is not None:
        tokenizer.post_processor = post
    tokenizer.add_tokens(list(tokens))
    add(name, tokenizer)
    if decoder is not None:
        tokenizer.decoder = decoder
        add(f"{name}, decoded", tokenizer, id_lists(tokenizer.get_vocab_size()))
    return tokenizer


def id_lists(size):
    numbers = Numbers(7)
    return [[numbers.below(size) for _ in range(1 + numbers.below(8))] for _ in range(TEXTS)]


def edited(tokenizer, **options):
    """A tokenizer with other options of its model, which not all are arguments in Python."""
    config = json.loads(tokenizer.to_str())
    config["model"].update(options)
    return Tokenizer.from_str(json.dumps(config))


BpeTrainer = trainers.BpeTrainer
alphabet = P.ByteLevel.alphabet()
bpe = trained(
    "BPE",
    models.BPE(unk_token="<unk>"),
    BpeTrainer(vocab_size=300, special_tokens=["<unk>", "<s>"], limit_alphabet=60, show_progress=False),
    WORDS,
)
add("BPE fuse_unk", edited(bpe, fuse_unk=True))
add("BPE without unk", edited(bpe, unk_token=None))
add("BPE ignore_merges", edited(bpe, ignore_merges=True, merges=[]))
trained(
    "BPE prefix and suffix",
    models.BPE(unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>", fuse_unk=True),
    BpeTrainer(
        vocab_size=400,
        special_tokens=["<unk>"],
        limit_alphabet=60,
        continuing_subword_prefix="##",
        end_of_word_suffix="</w>",
        show_progress=False,
    ),
    WORDS,
    decoder=D.BPEDecoder(suffix="</w>"),
)
bytes_bpe = trained(
    "BPE byte-level",
    models.BPE(),
    BpeTrainer(vocab_size=400, initial_alphabet=alphabet, special_tokens=["<|end|>"], show_progress=False),
    P.ByteLevel(add_prefix_space=False),
    decoder=D.ByteLevel(),
    post=processors.Sequence([processors.ByteLevel(), processors.RobertaProcessing(("</s>", 1), ("<s>", 0))]),
)
sentencepiece_bpe = trained(
    "BPE byte_fallback",
    models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True),
    BpeTrainer(
        vocab_size=500,
        special_tokens=["<unk>", "<s>", *BYTE_VOCABULARY],
        limit_alphabet=40,
        show_progress=False,
    ),
    P.Metaspace("▁", "first", False),
    decoder=D.Sequence([D.Replace("▁", " "), D.ByteFallback(), D.Fuse(), D.Strip(" ", 1, 0)]),
    post=processors.TemplateProcessing(single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]),
)
add("BPE byte_fallback incomplete", edited(
    sentencepiece_bpe,
    vocab={("odd" if token == "<0xC3>" else token): id for token, id in json.loads(sentencepiece_bpe.to_str())["model"]["vocab"].items()},
))
refuse("BPE dropout", edited(bpe, dropout=0.1))
unigram = trained(
    "Unigram",
    models.Unigram(),
    trainers.UnigramTrainer(vocab_size=300, unk_token="<unk>", special_tokens=["<unk>", "<s>"], show_progress=False),
    P.Metaspace(),
    norm=N.NFKC(),
    decoder=D.Metaspace(),
)
scores = json.loads(unigram.to_str())["model"]["vocab"]
add("Unigram few", edited(unigram, vocab=[entry for entry in scores if entry[0].isascii() or entry[0] == "▁"]))
with_bytes = [entry for entry in scores if entry[0].isascii() or entry[0] == "▁"] + [[token, -20.0] for token in BYTE_VOCABULARY]
add("Unigram byte_fallback", edited(unigram, vocab=with_bytes, byte_fallback=True))
add("Unigram byte_fallback incomplete", edited(unigram, vocab=with_bytes[:-100], byte_fallback=True))
add("Unigram equal scores", edited(unigram, vocab=[[token, -1.0] for token, _ in scores]))
trained(
    "WordPiece",
    models.WordPiece(unk_token="[UNK]"),
    trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]", "[CLS]", "[SEP]"], limit_alphabet=80, show_progress=False),
    P.BertPreTokenizer(),
    norm=N.BertNormalizer(),
    decoder=D.WordPiece(),
    post=processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1)),
)
short = trained(
    "WordPiece prefix and longest word",
    models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=5, continuing_subword_prefix="@@"),
    trainers.WordPieceTrainer(
        vocab_size=300, special_tokens=["[UNK]"], continuing_subword_prefix="@@", show_progress=False
    ),
    WORDS,
    decoder=D.WordPiece("@@", False),
)
level = trained(
    "WordLevel",
    models.WordLevel(unk_token="[UNK]"),
    trainers.WordLevelTrainer(vocab_size=200, special_tokens=["[UNK]"], show_progress=False),
    P.Whitespace(),
)
for name, decoder in {
    "none": None,
    "CTC": D.CTC("a", "▁", True),
    "CTC without cleanup": D.CTC("a", "▁", False),
    "Replace regex": D.Replace(Regex(r"\w\w"), "$1"),
    "Strip start": D.Strip("t", 1, 0),
    "Strip stop": D.Strip("t", 0, 1),
    "Fuse, Strip": D.Sequence([D.Fuse(), D.Strip("t", 2, 0)]),
    "ByteFallback": D.ByteFallback(),
    "Metaspace never": D.Metaspace("▁", "never"),
    "Metaspace first": D.Metaspace("e", "first"),
}.items():
    tokenizer = sentencepiece_bpe if name in ("ByteFallback", "none") else unigram
    copy = Tokenizer.from_str(tokenizer.to_str())
    copy.decoder = decoder
    add(f"decoder {name}", copy, id_lists(copy.get_vocab_size()))

ADDED = {
    "single_word": AddedToken("the", single_word=True),
    "lstrip": AddedToken("cat", lstrip=True),
    "rstrip": AddedToken("dog", rstrip=True),
    "both": AddedToken("on", lstrip=True, rstrip=True, single_word=True),
    "normalized": AddedToken("É", normalized=True),
    "not normalized": AddedToken("É", normalized=False),
    "special": AddedToken("<x>", special=True),
}
for name, token in ADDED.items():
    for part in ("NFD", "Lowercase"):
        tokenizer = spelled()
        tokenizer.normalizer = getattr(N, part)()
        tokenizer.pre_tokenizer = P.Metaspace("▁", "first")
        tokenizer.add_tokens([token, AddedToken("ca"), AddedToken("<|end|>", normalized=False)])
        add(f"added {name}, {part}", tokenizer)
tokenizer = Tokenizer.from_str(unigram.to_str())
tokenizer.add_special_tokens(["<s>", "<pad>", "the"])
add("added to Unigram, decoded", tokenizer, id_lists(tokenizer.get_vocab_size()))

out = gzip.compress(json.dumps(CASES, ensure_ascii=False).encode(), mtime=0)
(HERE / "parts.json.gz").write_bytes(out)
print(len(CASES), "tokenizers,", len(out), "bytes")
