"""Makes the seeds of the fuzzed readers: one or two small whole files of each kind.

    python3 -m venv /tmp/venv-seeds && /tmp/venv-seeds/bin/pip install numpy pillow safetensors
    /tmp/venv-seeds/bin/python Tests/Fixtures/make_fuzz_seeds.py
"""

import io
import json
import pathlib
import tarfile

import numpy
import safetensors.numpy
from PIL import Image, ImageCms

folder = pathlib.Path(__file__).parent / "fuzz"


def seed(reader, name, data):
    (folder / reader).mkdir(parents=True, exist_ok=True)
    (folder / reader / f"seed-{name}").write_bytes(data)


def picture(mode, kind, size=(5, 4), **options):
    values = numpy.arange(size[0] * size[1] * len(mode), dtype="uint8") * 7
    image = Image.frombytes(mode, size, values.tobytes())
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


exif = Image.Exif()
exif[0x0112] = 6
profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
seed("png", "rgb", picture("RGB", "PNG"))
seed("png", "rgba-exif", picture("RGBA", "PNG", exif=exif))
seed("png", "grey-profile", picture("L", "PNG", icc_profile=profile))
seed("jpeg", "baseline-exif", picture("RGB", "JPEG", size=(9, 8), exif=exif))
seed("jpeg", "progressive", picture("L", "JPEG", size=(9, 8), progressive=True))
seed("jpeg", "cmyk", picture("CMYK", "JPEG", size=(9, 8)))
seed("jpeg", "profile", picture("RGB", "JPEG", size=(9, 8), icc_profile=profile))
seed("webp", "lossless", picture("RGBA", "WEBP", lossless=True))
seed("webp", "lossy-exif", picture("RGB", "WEBP", size=(9, 8), exif=exif))
seed("webp", "profile", picture("RGB", "WEBP", size=(9, 8), icc_profile=profile))

arrays = {"a": numpy.arange(6, dtype="float32").reshape(2, 3), "b": numpy.arange(4, dtype="uint8").reshape(2, 2)}
seed("safetensors", "two", safetensors.numpy.save(arrays, metadata={"format": "pt"}))
seed("safetensors", "half-and-double", safetensors.numpy.save(
    {"h": numpy.ones((2, 2), "float16"), "d": numpy.ones((1, 3), "float64")}))

for name, array in {"f8": numpy.ones((2, 3)), "f2": numpy.ones((3, 2), "float16"),
                    "fortran": numpy.asfortranarray(numpy.ones((2, 3, 2), "int16"))}.items():
    file = io.BytesIO()
    numpy.save(file, array)
    seed("npy", name, file.getvalue())
for name, save in {"stored": numpy.savez, "deflated": numpy.savez_compressed}.items():
    file = io.BytesIO()
    save(file, x=numpy.ones((2, 3)))
    seed("npz", name, file.getvalue())


def tar(members, form):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as archive:
        for name, data in members:
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    return file.getvalue()


small = picture("RGB", "PNG")
seed("tar", "text", tar([("a.png", small), ("a.txt", b"an owl")], tarfile.USTAR_FORMAT))
seed("tar", "json", tar([("b.png", small), ("b.json", b'{"caption": "a fox"}')], tarfile.PAX_FORMAT))
seed("tar", "long-name", tar([("c" * 120 + ".png", small), ("c" * 120 + ".txt", b"a cat")], tarfile.GNU_FORMAT))

line = {"file_name": "a.png", "text": ["an owl", "부엉이"], "keywords": ["bird"], "split": "train", "relation": "made-of"}
seed("metadata", "full", (json.dumps(line) + "\n").encode())
seed("metadata", "plain", b'{"file_name": "a.png", "text": "an owl \\ud83e\\udd89"}\n')
seed("captions", "two", "an owl made of pizza\na bird: brown, 부엉이\n".encode())

alphabet = [chr(i) for i in range(ord("!"), ord("~") + 1)] + [chr(i) for i in range(0xA1, 0xAD)] \
    + [chr(i) for i in range(0xAE, 0x100)]
alphabet += [chr(256 + i) for i in range(256 - len(alphabet))]
vocabulary = {piece: i for i, piece in enumerate(alphabet)} | {"an": 256, "ow": 257}
tokenizer = json.loads((folder.parent / "text-vocabulary.json").read_text())
tokenizer["model"] |= {"vocab": vocabulary, "merges": [["a", "n"], ["o", "w"]]}
seed("tokenizer", "small", json.dumps(tokenizer, ensure_ascii=False).encode())

# Several small ones: a fuzzer finds its way from one component to another.
byte_level = {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": False}
published = {
    "version": "1.0", "added_tokens": [
        {"id": 9, "content": "<x>", "single_word": False, "lstrip": True, "rstrip": True, "normalized": True, "special": True}],
    "normalizer": {"type": "Sequence", "normalizers": [
        {"type": "NFKC"}, {"type": "Lowercase"}, {"type": "Strip", "strip_left": True, "strip_right": False},
        {"type": "Replace", "pattern": {"String": "f"}, "content": "v"}, {"type": "Prepend", "prepend": "a"}]},
    "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
        {"type": "Split", "pattern": {"Regex": "\\s?\\p{L}+|(?i:'s)|\\s+(?!\\S)"}, "behavior": "MergedWithNext", "invert": True},
        {"type": "Digits", "individual_digits": True}, {"type": "Punctuation"}, byte_level]},
    "post_processor": {
        "type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "S", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [], "special_tokens": {"S": {"id": "S", "ids": [7], "tokens": ["S"]}}},
    "model": {"type": "BPE", "unk_token": "a", "fuse_unk": True, "byte_fallback": True, "ignore_merges": True,
              "vocab": {"a": 0, "n": 1, "an": 2, "Ġ": 3, "o": 4, "w": 5, "ow": 6, "<0xEA>": 8}, "merges": [["a", "n"], ["o", "w"]]}}
seed("pretrained", "sequences", json.dumps(published, ensure_ascii=False).encode())
seed("pretrained", "metaspace", json.dumps(published | {"normalizer": None, "post_processor": byte_level, "pre_tokenizer": {
    "type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": True}}).encode())
seed("pretrained", "whitespace", json.dumps(published | {
    "normalizer": {"type": "NFD"}, "pre_tokenizer": {"type": "Whitespace"},
    "model": published["model"] | {"merges": ["a n", "o w"]}}).encode())

configuration = json.loads((folder.parents[2] / "checkpoints/emoji/config.json").read_text())
for field in ["caption_words", "earlier_prior_training", "ranker_training", "tokenizer_training"]:
    configuration.pop(field, None)
seed("configuration", "emoji", json.dumps(configuration, ensure_ascii=False).encode())
