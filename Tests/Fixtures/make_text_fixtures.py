"""Writes the fixtures of TextTokenizerTests with Hugging Face's tokenizers (pip install tokenizers==0.23.*).

text-vocabulary.json        a tokenizer.json trained by that library (merges as pairs)
text-vocabulary-strings.json  the same with merges as strings, as releases before 0.20 wrote them
text-ids.json               texts and the ids that the library gives them with that vocabulary, without and with add_prefix_space

python Tests/Fixtures/make_text_fixtures.py
"""

import json
import pathlib
import random
import unicodedata

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

FOLDER = pathlib.Path(__file__).parent
RANDOM = random.Random(20)

CAPTIONS = """
a red heart|a woman's hat|a grinning cat with smiling eyes|two women holding hands: medium-dark skin tone
woman astronaut: dark skin tone|the children's crossing|it's raining, isn't it?|they'll sing; we've sung; I'm he'd
flag: Côte d’Ivoire|flag: Åland Islands|flag: Türkiye|keycap: 10|1st place medal|한국어 문장|빨간 심장과 큰 별
ein großer Vogel|Ψυχή και ΣΊΣΥΦΟΣ|красное сердце|赤いハート|हिन्दी में दिल|👩🏽‍🚀 in space|❤️‍🔥 heart on fire|🇰🇷 flag
""".replace("\n", "|").split("|")

TEXTS = [
    "", " ", "  ", "\n", "\r\n", "\t\ttabs\t", "\u0000", "a\u0000b", "a red heart", "  A  RED   HEART  ", "a\r\nb\n\n c ",
    "it's we'll they're I've I'm he'd don't", "IT'S WE'LL", "'s's 's ''s '' s", "'r 've 'v 'l 'll 'lx", "x'y'd", "!'s", "’s",
    "non\u00a0breaking\u00a0 space \u00a0x", "\u2003em\u2028line\u2029\u3000wide", "\u0085next\u180e\u200b\ufeffx", "\x1c\x1f x",
    "٣٤٥ ३४५ Ⅷ ½ ² 〇 𝟙 １２", "12abc34", "3.14, 1e-5", "snake_case CamelCase", "İstanbul İ", "ΣΊΣΥΦΟΣ ΟΔΟΣ.", "STRAẞE ẞ",
    "ǅ ǈ ǋ ǲ ᾈ ᾼ", "ﬁ ŉ ǰ ΐ", "\u212b \u00c5 A\u030a", "\u212a \u2126", "e\u0301 E\u0301 é", "q\u0323\u0307 q\u0307\u0323",
    "\u1112\u1161\u11ab\u1100\u116e\u11a8", "다\u11bc 가\u11a7 \u1113\u1161 각\u11a8", "한국어 문장", "\u0344\u0f81 \u0f71\u0f73",
    "\u0ccb \u0cc6\u0cc2\u0cd5", "\u0958 \u2adc \U0001d15e", "\U000d0395\u0301 \U00010418\u0308", "\U0001109b \U00011099\u0f73",
    "q\u0345\u07fd q\u0345\u0d3b \U00011935\U00011930", "\u088f\u0c5c \ua7ce \U00011de0", "\ua7cb\U0001e5d0", "👩🏽‍🚀", "👨‍👩‍👧‍👦", "❤️", "1️⃣",
    "🇰🇷🇯🇵", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "\ue000\ufdd0\uffff\U0010ffff", "日本語と中文", "ภาษาไทย", "हिन्दी", "עִבְרִית", "العربية ١٢٣", "?!...", "   !", "a  b",
    "a" * 10_000, "heart" * 100, " " * 1_000, "\u1112\u1161\u11ab" * 100, "a\u0301\u0323" * 100, "red heart " * 1_000,
]

# What code points are drawn from: a random text of only assigned and unassigned ones would be almost all ideographs.
POOLS = [
    list(range(0x20, 0x7F)),
    [0x9, 0xA, 0xD, 0x20, 0x20, 0x27, 0x85, 0xA0, 0x1680, 0x2003, 0x2028, 0x202F, 0x3000, 0x200B, 0x200D, 0xFE0F],
    [c for c in range(0x110000) if unicodedata.combining(chr(c))],
    [c for c in range(0x80, 0x110000) if unicodedata.normalize("NFC", chr(c)) != chr(c) or chr(c).lower() != chr(c)],
    [c for c in range(0xC0, 0xAC00) if unicodedata.normalize("NFD", chr(c)) != chr(c)],
    list(range(0x1100, 0x1200)) + list(range(0xAC00, 0xAC60)),
    [c for c in range(0x110000) if unicodedata.category(chr(c))[0] in "LNPSZ"],
    list(range(0x0, 0xD800)) + list(range(0xE000, 0x110000)),
]


def random_text():
    pools = RANDOM.sample(POOLS, RANDOM.randint(1, len(POOLS)))
    characters = (RANDOM.choice(RANDOM.choice(pools)) for _ in range(RANDOM.randint(1, 40)))
    return "".join(chr(c) for c in characters if not 0xD800 <= c < 0xE000)


def main():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=600, min_frequency=1, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(CAPTIONS, trainer)
    path = FOLDER / "text-vocabulary.json"
    tokenizer.save(str(path), pretty=False)

    file = json.loads(path.read_text())
    file["model"]["merges"] = [" ".join(pair) for pair in file["model"]["merges"]]
    (FOLDER / "text-vocabulary-strings.json").write_text(json.dumps(file, ensure_ascii=False))

    texts = CAPTIONS + TEXTS + [random_text() for _ in range(600)]
    cases = [{"text": text, "ids": tokenizer.encode(text).ids} for text in texts]
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    for case in cases:
        case["spaced_ids"] = tokenizer.encode(case["text"]).ids
    (FOLDER / "text-ids.json").write_text(json.dumps(cases, separators=(",", ":")))


if __name__ == "__main__":
    main()
