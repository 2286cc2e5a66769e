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

configuration = json.loads((folder.parents[2] / "checkpoints/emoji/config.json").read_text())
for field in ["caption_words", "earlier_prior_training", "ranker_training", "tokenizer_training"]:
    configuration.pop(field, None)
seed("configuration", "emoji", json.dumps(configuration, ensure_ascii=False).encode())
