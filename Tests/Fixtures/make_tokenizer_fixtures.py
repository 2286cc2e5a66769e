"""Writes the fixtures of PretrainedTokenizersTests with Hugging Face's tokenizers (pip install tokenizers==0.23.3).

tokenizers/llama.json   as Llama's and its kin: cut by several patterns, digits one by one, a token before each text
tokenizers/qwen.json    as Qwen2's: normal form C, one pattern that leaves cases aside
tokenizers/gpt2.json    as GPT-2's: the pattern of the byte-level pre-tokenizer, merges as strings, no type of the model
tokenizers/texts.json   texts, for each file their ids, and for each file the special tokens that come before all
tokenizers/odd.json     small files, each with a setting that few have, and texts and ids of each

python Tests/Fixtures/make_tokenizer_fixtures.py
python Tests/Fixtures/make_tokenizer_fixtures.py FOLDER COUNT SEED   # more texts for the three files, elsewhere
"""

import json
import pathlib
import random
import sys
import unicodedata

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

FOLDER = pathlib.Path(__file__).parent / "tokenizers"
RANDOM = random.Random(20)

CAPTIONS = """
a red heart|a woman's hat|a grinning cat with smiling eyes|two women holding hands: medium-dark skin tone
A portrait of young girl. masterpiece, film grained, best quality.|it's raining, isn't it?|they'll sing; we've sung
woman astronaut: dark skin tone|flag: Côte d’Ivoire|keycap: 10|1st place medal|an armchair in the shape of an avocado
a tapir made of accordion|a 3D render of 27 cubes, 4k, octane|the exact same cat on the top as a sketch on the bottom
한국어 문장|빨간 심장과 큰 별|서울의 밤, 네온 불빛 아래 걷는 고양이|아보카도 모양의 안락의자|눈 덮인 산 위의 작은 집
一只戴着红色帽子的猫，水彩画|夜晚的城市，霓虹灯，雨|山水画，远处有一座桥|赤い帽子をかぶった猫の水彩画|夜の街、ネオン、雨
ein großer Vogel|Ψυχή και ΣΊΣΥΦΟΣ|красное сердце на белом фоне|قلب أحمر على خلفية بيضاء|हिन्दी में दिल|ภาษาไทย|עִבְרִית
👩🏽‍🚀 in space|❤️‍🔥 heart on fire|🇰🇷 flag|👨‍👩‍👧‍👦 family|x = (a + b) / 2;|if (n > 10) { return n - 1; }
""".strip().replace("\n", "|").split("|")

# Bars of full width, and the blanks of one eighth, as DeepSeek writes them.
TOKENS = {
    "llama": ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜▁pad▁｜>", "<begin_of_image>", "<end_of_image>", "<|User|>",
              "<|Assistant|>"],
    "qwen": ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|im_start|>s"],
    "gpt2": ["<|endoftext|>"],
}

TEXTS = [
    "", " ", "  ", "   a", "\n", "\r\n", "\r\n\r\n a", "\n\n\n", " \n \n ", "\t\ttabs\t", "a\t b", "\u0000", "a\u0000b\u0000", "\x01\x1f\x7f\x80",
    "  A  RED   HEART  ", "a\r\nb\n\n c ", "end \n", "end\n  ", "it's we'll they're I've I'm he'd don't", "IT'S WE'LL THEY'RE", "'s's 's ''s",
    "0", "12345", "a1b22c333", " 7", "  77", "3.14, 1e-5", "١٢٣ ३४५ Ⅷ ½ ² 〇 𝟙 １２", "1st 2nd", "$10.99", "snake_case CamelCase",
    "non\u00a0breaking\u00a0 space \u00a0x", "\u2003em\u2028line\u2029\u3000wide", "\u0085next\u180e\u200b\ufeffx",
    "e\u0301 E\u0301 é", "q\u0323\u0307 q\u0307\u0323", "\u1112\u1161\u11ab\u1100\u116e\u11a8", "\u212b Å A\u030a \u2126", "ﬁ ŉ ǰ ΐ ǅ",
    "İstanbul ΣΊΣΥΦΟΣ STRAẞE", "👩🏽‍🚀", "👨‍👩‍👧‍👦👨‍👩‍👧‍👦", "❤️ 1️⃣ 🏴󠁧󠁢󠁥󠁮󠁧󠁿 🫨🪿🫩", "🇰🇷🇯🇵", "\ue000\ufdd0\uffff\U0010ffff", "日本語と中文，。！", "「夜」の街。",
    "العربية ١٢٣", "?!...", "   !", "/// ### --> <!-- {}[]", "(a)(b) [c]", "http://example.org/?a=1&b=2", "～＃！？Ａｂ",
    "<begin_of_image>", " <begin_of_image> ", "a<begin_of_image>b", "a <begin_of_image>\n b", "<|User|>: a red heart\n\n<|Assistant|>:<begin_of_image>",
    "<｜begin▁of▁sentence｜>a", "<｜▁pad▁｜><｜▁pad▁｜>", "<|User|", "<begin_of_<begin_of_image>image>", "<|im_start|>system\nYou<|im_end|>\n",
    "<|im_start|>s", "<|im_start|>sx", "<|endoftext|>", "a<|endoftext|><|endoftext|> b", "<|ENDOFTEXT|>", "<|endoftext|", "\U00031350\U0001e4d0\U00011f04",
    "a" * 400, "heart" * 80, "심장" * 60, " " * 300, "\n" * 100, "7" * 100, "!" * 200, " " * 100 + "x", "\u1112\u1161\u11ab" * 20,
    "a\u0301\u0323" * 30, "red heart " * 20, "👩🏽‍🚀" * 10,
]

POOLS = [
    list(range(0x20, 0x7F)),
    list(range(0x61, 0x7B)) + [0x20] * 5,
    list(range(0x30, 0x3A)) + [0x20, 0x2E, 0x2C],
    [0x9, 0xA, 0xD, 0x20, 0x20, 0x27, 0x85, 0xA0, 0x1680, 0x2003, 0x2028, 0x202F, 0x3000, 0x200B, 0x200D, 0xFE0F],
    [0xA, 0xD, 0x20, 0x9, 0x61],
    list(range(0x0, 0x20)) + [0x7F, 0x80, 0x9F],
    [c for c in range(0x110000) if unicodedata.combining(chr(c))],
    [c for c in range(0x80, 0x110000) if unicodedata.normalize("NFC", chr(c)) != chr(c) or chr(c).lower() != chr(c)],
    [c for c in range(0xC0, 0xAC00) if unicodedata.normalize("NFD", chr(c)) != chr(c)],
    list(range(0x1100, 0x1200)) + list(range(0xAC00, 0xAC60)),
    list(range(0xAC00, 0xD7A4)) + [0x20] * 2000,
    list(range(0x4E00, 0x9FA6)) + [0x3002, 0xFF0C] * 500,
    list(range(0x3041, 0x30FF)) + list(range(0x4E00, 0x4F00)),
    list(range(0x600, 0x700)) + [0x20] * 20,
    list(range(0x370, 0x530)),
    list(range(0x1F300, 0x1F700)) + [0x200D, 0xFE0F] * 100 + list(range(0x1F3FB, 0x1F400)) * 20 + list(range(0x1F1E6, 0x1F200)) * 10,
    list(range(0xFF01, 0xFF5F)) + list(range(0x2018, 0x2020)) + list(range(0x3000, 0x3020)),
    [c for c in range(0x110000) if unicodedata.category(chr(c))[0] in "LNPSZ"],
    [c for c in range(0xD800)] + list(range(0xE000, 0x110000)),
]
WORDS = sorted({word for caption in CAPTIONS for word in caption.split()})


def random_text():
    """What one generator of several makes: words, characters of a few kinds, runs of one, captions in pieces; tokens in it."""
    kind = RANDOM.randrange(5)
    if kind == 0:
        text = "".join(RANDOM.choice(WORDS) + RANDOM.choice([" ", " ", " ", ", ", "\n", "  ", "", "-", "。"])
                       for _ in range(RANDOM.randint(1, 20)))
    elif kind == 1:
        text = "".join(chr(RANDOM.choice(RANDOM.choice(POOLS))) * RANDOM.choice([1, 1, 2, 3, 5, 20])
                       for _ in range(RANDOM.randint(1, 12)))
    elif kind == 2:
        caption = RANDOM.choice(CAPTIONS)
        start = RANDOM.randrange(len(caption))
        text = caption[start:] + RANDOM.choice(["", "\n\n", " ", "!"]) + RANDOM.choice(CAPTIONS).upper()
    else:
        pools = RANDOM.sample(POOLS, RANDOM.randint(1, 4))
        text = "".join(chr(RANDOM.choice(RANDOM.choice(pools))) for _ in range(RANDOM.randint(1, 40)))
    for _ in range(RANDOM.choice([0, 0, 1, 3])):
        place = RANDOM.randint(0, len(text))
        token = RANDOM.choice(RANDOM.choice(list(TOKENS.values())))
        text = text[:place] + RANDOM.choice(["", " ", "\n"]) + token[:RANDOM.choice([len(token)] * 4 + [3])] + text[place:]
    return "".join(c for c in text if not 0xD800 <= ord(c) < 0xE000)


LETTERS = "A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗ"


def llama():
    tokenizer = Tokenizer(models.BPE(ignore_merges=False))
    tokenizer.normalizer = normalizers.Sequence([])
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex("[\r\n]"), "isolated"),
        pre_tokenizers.Split(Regex(f"\\s?[{LETTERS}]+"), "isolated"),
        pre_tokenizers.Split(Regex("\\s?[!-/:-~！-／：-～‘-‟　-。]+"), "isolated"),
        pre_tokenizers.Split(Regex("\\s+$"), "isolated"),
        pre_tokenizers.Split(Regex("[一-龥ࠀ-一가-퟿]+"), "isolated"),
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=True, use_regex=False),
    ])
    return tokenizer


def qwen():
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.normalizer = normalizers.NFC()
    pattern = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(pattern), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
    ])
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    return tokenizer


def gpt2():
    tokenizer = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix=""))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=True)
    return tokenizer


def make(name, make_tokenizer, size):
    tokenizer = make_tokenizer()
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=size, min_frequency=1, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
                                  show_progress=False)
    tokenizer.train_from_iterator(CAPTIONS * 2, trainer)
    tokenizer.add_tokens([AddedToken(token, special=index < 3, normalized=False) for index, token in enumerate(TOKENS[name])])
    if name == "llama":
        beginning = TOKENS[name][0]
        tokenizer.post_processor = processors.TemplateProcessing(
            single=[beginning, "$A"], pair=[beginning, "$A", beginning, "$B"],
            special_tokens=[(beginning, tokenizer.token_to_id(beginning))])
    file = json.loads(tokenizer.to_str())
    if name == "gpt2":
        del file["model"]["type"]
        file["model"]["merges"] = [" ".join(pair) for pair in file["model"]["merges"]]
        # Two pieces that no merge makes, and ids that leave a gap.
        file["model"]["vocab"]["Ġaccordion"] = 4_000
    path = FOLDER / f"{name}.json"
    path.write_text(json.dumps(file, ensure_ascii=False, separators=(",", ":")))
    return Tokenizer.from_str(path.read_text())


def ids_of(tokenizer, text):
    return [tokenizer.encode(text, add_special_tokens=adds).ids for adds in (False, True)]


def odd_files():
    """Files of some pieces of ordinary letters, each with what few files have."""
    letters = [chr(i) for i in range(0x20, 0x7F)] + ["▁", "é", "e\u0301", "É", "가", "中", "<unk>", "\u0301"]
    vocabulary = {piece: i for i, piece in enumerate(letters)}
    merges = [("a", "b"), ("ab", "c"), ("b", "c"), ("h", "e"), ("l", "l"), ("he", "ll"), ("hell", "o"), ("▁", "hello"), ("<unk>", "a")]
    for left, right in merges:
        vocabulary.setdefault(left + right, len(vocabulary))
    vocabulary["xyz"] = len(vocabulary)
    for byte in range(256):
        vocabulary[f"<0x{byte:02X}>"] = len(vocabulary)
    base = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None, "pre_tokenizer": None,
            "post_processor": None, "decoder": None}
    model = {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
             "fuse_unk": False, "byte_fallback": False, "ignore_merges": False}

    def split(pattern, behavior, invert=False, kind="Regex"):
        return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}

    def token(content, **options):
        return {"id": 0, "content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
                "special": False} | options

    def sequence(*elements, name="pretokenizers"):
        return {"type": "Sequence", name: list(elements)}

    files = {"plain": {}}
    for behavior in ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]:
        for invert in [False, True]:
            files[f"split {behavior} {invert}"] = {"pre_tokenizer": split("\\s", behavior, invert)}
            files[f"split text {behavior} {invert}"] = {"pre_tokenizer": split("l", behavior, invert, "String")}
        files[f"split empty matches {behavior}"] = {"pre_tokenizer": split("l*", behavior)}
        files[f"punctuation {behavior}"] = {"pre_tokenizer": {"type": "Punctuation", "behavior": behavior}}
    files["split empty text"] = {"pre_tokenizer": split("", "Isolated", False, "String")}
    files["split by a text of signs"] = {"pre_tokenizer": split(".*", "Isolated", False, "String")}
    files["split looks around"] = {"pre_tokenizer": split("(?<=l)(?=o)|(?<!a)b", "Isolated")}
    files["split by words"] = {"pre_tokenizer": split("\\b", "Isolated")}
    files["split names and repeats"] = {"pre_tokenizer": split("(?<x>l)\\k<x>|(?i)HE", "Isolated")}
    files["split keeps"] = {"pre_tokenizer": split("l\\Kl", "Removed")}
    files["digits"] = {"pre_tokenizer": {"type": "Digits", "individual_digits": False}}
    files["digits one by one"] = {"pre_tokenizer": {"type": "Digits", "individual_digits": True}}
    files["whitespace"] = {"pre_tokenizer": {"type": "Whitespace"}}
    files["whitespace split"] = {"pre_tokenizer": {"type": "WhitespaceSplit"}}
    for scheme in ["always", "first", "never"]:
        for splits in [True, False]:
            files[f"metaspace {scheme} {splits}"] = {
                "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": splits},
                "added_tokens": [token("<x>")]}
    files["metaspace after splits"] = {"pre_tokenizer": sequence(split("l", "Removed"), {
        "type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True})}
    files["metaspace behind a strip"] = {
        "normalizer": {"type": "Strip", "strip_left": True, "strip_right": True},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}}
    files["metaspace behind a replacement"] = {
        "normalizer": {"type": "Replace", "pattern": {"Regex": "^h|^ "}, "content": ""},
        "pre_tokenizer": {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}}
    byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True}
    files["byte-level with a space"] = {"pre_tokenizer": byte_level, "added_tokens": [token("<x>")]}
    files["byte-level behind a split"] = {"pre_tokenizer": sequence(split("l", "Isolated"), byte_level | {"use_regex": False})}
    files["byte-level before a split"] = {"pre_tokenizer": sequence(byte_level, split("Ġ", "Isolated"))}
    for form in ["NFC", "NFD", "NFKC", "NFKD", "Lowercase"]:
        files[form] = {"normalizer": {"type": form}, "model": {"byte_fallback": True}}
    for left in [False, True]:
        for right in [False, True]:
            files[f"strip {left} {right}"] = {"normalizer": {"type": "Strip", "strip_left": left, "strip_right": right},
                                             "added_tokens": [token("<x>")]}
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    prepend = {"type": "Prepend", "prepend": "▁"}
    files["replace"] = {"normalizer": replace}
    files["replace by an expression"] = {"normalizer": replace | {"pattern": {"Regex": "\\s+"}}}
    files["replace nothing"] = {"normalizer": replace | {"pattern": {"Regex": "l*"}}}
    files["prepend"] = {"normalizer": prepend, "added_tokens": [token("<x>")]}
    llama_2 = {"byte_fallback": True, "fuse_unk": True, "unk_token": "<unk>"}
    files["as Llama 2"] = {"normalizer": sequence(prepend, replace, name="normalizers"), "model": llama_2,
                           "added_tokens": [token("<x>"), token("<unk>", special=True)]}
    files["unknown"] = {"model": {"unk_token": "<unk>"}}
    files["unknown fused"] = {"model": {"unk_token": "<unk>", "fuse_unk": True}}
    files["merges ignored"] = {"model": {"ignore_merges": True}, "pre_tokenizer": {"type": "WhitespaceSplit"}}
    for options in [{"lstrip": True}, {"rstrip": True}, {"lstrip": True, "rstrip": True}, {"single_word": True},
                    {"single_word": True, "lstrip": True}, {"normalized": True}, {"normalized": True, "rstrip": True}]:
        name = " ".join(options)
        added = [token("<x>", **options), token("hello", **options), token("Hell", **options), token("b ", **options)]
        files[f"added {name}"] = {"added_tokens": added}
        files[f"added {name} to a normalizer"] = {
            "added_tokens": added, "normalizer": sequence({"type": "Lowercase"}, replace, name="normalizers")}
    files["added twice, and one that is empty"] = {
        "added_tokens": [token("<x>", lstrip=True), token("<x>"), token(""), token("<x>y"), token("<x", normalized=True)]}

    texts = [
        "", " ", "   ", "hello", "hello world", " hello  hello ", "abc abcabc", "xyz xyzx", "a<x>b", "a <x> b", "  <x>  ", "<x><x>", " <x> <x> ",
        "<x>hello", "hello<x>", "<x>y<x", "_<x>_", "é<x>é", "hellohello", "Hello HELLO hello!", "Hellhello", "shell hello, hell", "b b  b", "ab  bb ",
        "a\nb\n\n c", "12 345a6７", "hello, world!! (x)-[y] $5 + ~", "é e\u0301 É ﬁ Å 가 中", "中文<x>中 文", "\u0301a", "日本", "a日本b語", "日é日",
        "日a", "<unk>a日a", "\u00a0a\u2003b", "▁hello ▁", "lll hello ll", "helLO.*lo.*", "a\u0000b", "👩🏽‍🚀 x", "_a_ a_b", "١٢ Ⅷ ½", "“x” «y» 、",
    ]
    result = []
    for name, changes in files.items():
        file = base | {key: value for key, value in changes.items() if key != "model"}
        file["model"] = model | changes.get("model", {})
        whole = file | {"model": file["model"] | {"vocab": vocabulary, "merges": merges}}
        tokenizer = Tokenizer.from_str(json.dumps(whole))
        cases = [{"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids} for text in texts]
        result.append({"name": name, "file": json.dumps(file, ensure_ascii=False), "ids": [case["ids"] for case in cases]})
    return {"vocabulary": json.dumps(vocabulary, ensure_ascii=False), "merges": json.dumps(merges, ensure_ascii=False), "texts": texts,
            "files": result}


def main():
    FOLDER.mkdir(exist_ok=True)
    tokenizers = {"llama": make("llama", llama, 1_200), "qwen": make("qwen", qwen, 1_000), "gpt2": make("gpt2", gpt2, 600)}
    if len(sys.argv) > 1:
        RANDOM.seed(int(sys.argv[3]))
        texts = TEXTS + [random_text() for _ in range(int(sys.argv[2]))]
        for name, tokenizer in tokenizers.items():
            with open(pathlib.Path(sys.argv[1]) / f"{name}.jsonl", "w") as file:
                for text in texts:
                    ids, special = ids_of(tokenizer, text)
                    file.write(json.dumps({"text": text, "ids": ids, "special": special}) + "\n")
        return
    texts = TEXTS + CAPTIONS + [random_text() for _ in range(180)]
    cases = [{"text": text} for text in texts]
    special = {}
    for name, tokenizer in tokenizers.items():
        special[name] = tokenizer.encode("").ids
        for case in cases:
            case[name], with_special = ids_of(tokenizer, case["text"])
            assert with_special == special[name] + case[name]
    (FOLDER / "texts.json").write_text(json.dumps({"special": special, "cases": cases}, separators=(",", ":")))
    (FOLDER / "odd.json").write_text(json.dumps(odd_files(), separators=(",", ":")))


if __name__ == "__main__":
    main()
