"""Makes the small pictures and shards that ImagingTests and DatasetsTests read.

    python3 -m venv /tmp/venv-media && /tmp/venv-media/bin/pip install pillow numpy
    /tmp/venv-media/bin/python Tests/Fixtures/make_media_fixtures.py

expected.json holds, for each picture, the RGB pixels over white as computed here, not by the code under test.
"""

import io
import json
import pathlib
import struct
import tarfile
import zlib

import numpy
from PIL import Image

FOLDER = pathlib.Path(__file__).parent / "media"
GREY, RGB, PALETTE, GREY_ALPHA, RGBA = 0, 2, 3, 4, 6
expected = {}


def chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(width, height, depth, kind, rows, extra=b"", interlace=0):
    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, interlace)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + extra
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
        + chunk(b"IEND", b"")
    )


def over_white(color, alpha):
    """Both 0...255; the alpha blend rounded to nearest."""
    color, alpha = color.astype(float), alpha.astype(float)[..., None]
    return numpy.floor((color * alpha + 255 * (255 - alpha)) / 255 + 0.5).astype(int)


def save(name, content, pixels=None):
    (FOLDER / name).write_bytes(content)
    if pixels is not None:
        height, width, _ = pixels.shape
        expected[name] = {"width": width, "height": height, "pixels": pixels.reshape(-1).tolist()}


def save_pngs(random):
    width, height = 7, 5
    rgba = random.integers(0, 256, (height, width, 4))
    rgba[0, :, 3] = 0
    rgba[1, :, 3] = 255
    blended = over_white(rgba[..., :3], rgba[..., 3])
    rows = [row.astype(numpy.uint8).tobytes() for row in rgba]
    save("rgba8.png", png(width, height, 8, RGBA, rows), blended)

    # 257 · v is the 16-bit sample that means the same as v.
    rows = [(row * 257).astype(">u2").tobytes() for row in rgba]
    save("rgba16.png", png(width, height, 16, RGBA, rows), blended)
    rows = [(row[:, :3] * 257).astype(">u2").tobytes() for row in rgba]
    save("rgb16.png", png(width, height, 16, RGB, rows), rgba[..., :3])

    grey = rgba[..., 0]
    grey_rgb = numpy.repeat(grey[..., None], 3, 2)
    rows = [(row * 257).astype(">u2").tobytes() for row in grey]
    save("grey16.png", png(width, height, 16, GREY, rows), grey_rgb)
    rows = [numpy.stack([row[:, 0], row[:, 3]], 1).astype(numpy.uint8).tobytes() for row in rgba]
    save("grey-alpha.png", png(width, height, 8, GREY_ALPHA, rows), over_white(grey_rgb, rgba[..., 3]))
    bits = grey > 127
    rows = [numpy.packbits(row).tobytes() for row in bits]
    save("grey1.png", png(width, height, 1, GREY, rows), numpy.repeat(bits[..., None] * 255, 3, 2))

    colors = random.integers(0, 256, (16, 3))
    alphas = random.integers(0, 256, 16)
    picks = random.integers(0, 16, (height, width + 1))
    rows = [bytes(int(a) << 4 | int(b) for a, b in zip(row[::2], row[1::2])) for row in picks]
    extra = chunk(b"PLTE", colors.astype(numpy.uint8).tobytes()) + chunk(b"tRNS", alphas.astype(numpy.uint8).tobytes())
    picks = picks[:, :width]
    save("palette.png", png(width, height, 4, PALETTE, rows, extra), over_white(colors[picks], alphas[picks]))

    # One color of an RGB picture stands for transparent.
    rgb = rgba[..., :3].copy()
    rgb[2, 3] = rgb[4, 6] = key = (10, 20, 30)
    rows = [row.astype(numpy.uint8).tobytes() for row in rgb]
    extra = chunk(b"tRNS", struct.pack(">3H", *key))
    keyed = rgb.copy()
    keyed[2, 3] = keyed[4, 6] = 255
    save("color-key.png", png(width, height, 8, RGB, rows, extra), keyed)

    # Adam7: seven passes, each a sparse grid.
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    rows = []
    for x, y, dx, dy in passes:
        part = rgb[y::dy, x::dx]
        if part.size:
            rows += [row.astype(numpy.uint8).tobytes() for row in part]
    save("interlaced.png", png(width, height, 8, RGB, rows, interlace=1), rgb)

    whole = (FOLDER / "rgba8.png").read_bytes()
    save("truncated.png", whole[: len(whole) - 60])
    save("huge.png", png(50_000, 50_000, 8, RGB, [b"\0" * 16]))
    save("empty.png", b"")
    save("not-a-picture.png", b"This is a text.\n")
    compressed = zlib.compress("gepackt".encode("latin-1"))
    extra = chunk(b"zTXt", b"packed\0\0" + compressed) + chunk(b"tEXt", b"plain\0caf\xe9")
    rows = [row.astype(numpy.uint8).tobytes() for row in rgb]
    save("text.png", png(width, height, 8, RGB, rows, extra), rgb)


def jpeg(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=100, subsampling=0, **options)
    return buffer.getvalue()


def segments(content):
    """Marker segments up to the start of scan, then the rest."""
    position = 2
    while content[position + 1] != 0xDA:
        length = 2 + int.from_bytes(content[position + 2 : position + 4], "big")
        yield content[position : position + length]
        position += length
    yield content[position:]


def save_jpegs():
    y, x = numpy.mgrid[0:8, 0:16]
    rgb = numpy.stack([40 + 8 * x, 200 - 10 * y, 60 + 4 * x + 6 * y], 2)
    save("color.jpg", jpeg(Image.fromarray(rgb.astype(numpy.uint8))), rgb)
    # Smooth, so that what is decoded scaled down is what averaging makes of the whole.
    y, x = numpy.mgrid[0:88, 0:120]
    smooth = numpy.stack([2 * x, 255 - 2 * y, 128 + 80 * numpy.sin(x / 9 + y / 13)], -1).clip(0, 255)
    (FOLDER / "smooth.jpg").write_bytes(jpeg(Image.fromarray(smooth.astype(numpy.uint8))))
    save("jpeg-named.png", (FOLDER / "color.jpg").read_bytes(), rgb)
    grey = rgb[..., 0]
    save("grey.jpg", jpeg(Image.fromarray(grey.astype(numpy.uint8))), numpy.repeat(grey[..., None], 3, 2))
    whole = (FOLDER / "color.jpg").read_bytes()
    save("truncated.jpg", whole[: len(whole) - 40])

    # Pillow inverts CMYK on saving and writes Adobe's mark.
    ink = numpy.stack([10 * x, 20 * y, 100 + 0 * x, 50 + 5 * y], 2)
    pixels = (255 - ink[..., :3]) * (255 - ink[..., 3:]) / 255 + 0.5
    adobe = jpeg(Image.fromarray(ink.astype(numpy.uint8), "CMYK"))
    assert b"Adobe" in adobe
    save("cmyk-adobe.jpg", adobe, pixels.astype(int))
    inverted = jpeg(Image.fromarray((255 - ink).astype(numpy.uint8), "CMYK"))
    plain = b"\xff\xd8" + b"".join(s for s in segments(inverted) if b"Adobe" not in s[:12])
    save("cmyk-plain.jpg", plain, pixels.astype(int))

    # YCCK: libjpeg turns Y, Cb, Cr into R, G, B and those into 255 − R, ... as Adobe's inverted inks.
    red, green, blue, light = 200.0, 120.0, 40.0, 180.0
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    samples = [luma, 128 + (blue - luma) / 1.772, 128 + (red - luma) / 1.402, light]
    stored = numpy.broadcast_to(numpy.array(samples).round(), (8, 8, 4))
    ycck = jpeg(Image.fromarray((255 - stored).astype(numpy.uint8), "CMYK"))
    mark = ycck.index(b"Adobe")
    ycck = ycck[: mark + 11] + b"\x02" + ycck[mark + 12 :]
    pixels = numpy.array([255 - red, 255 - green, 255 - blue]) * light / 255
    save("ycck.jpg", ycck, numpy.broadcast_to(pixels.round().astype(int), (8, 8, 3)))


def save_shards():
    picture = (FOLDER / "rgba8.png").read_bytes()
    photo = (FOLDER / "color.jpg").read_bytes()
    long = "folder-with-a-long-name/" * 6 + "picture"
    tarfile.RECORDSIZE = tarfile.BLOCKSIZE
    members = {
        "0001.png": picture,
        "0001.txt": "a first picture".encode(),
        "0002.jpg": photo,
        "0002.json": json.dumps({"caption": "a second picture", "width": 16}).encode(),
        "0003.png": picture,
        "0004.txt": b"a caption alone",
        "0005.png": b"damaged",
        "0005.txt": b"a damaged picture",
        long + ".png": picture,
        long + ".txt": "a long name, größer".encode(),
    }
    formats = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
    for name, form in formats.items():
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w", format=form) as shard:
            folder = tarfile.TarInfo("folder-with-a-long-name")
            folder.type = tarfile.DIRTYPE
            shard.addfile(folder)
            for path, content in members.items():
                # A ustar name is at most 100 characters after a prefix; the others get one that does not fit.
                info = tarfile.TarInfo(path if form == tarfile.USTAR_FORMAT else path.replace("picture", "x" * 120))
                info.size = len(content)
                shard.addfile(info, io.BytesIO(content))
        save(name + ".tar", buffer.getvalue())


FOLDER.mkdir(exist_ok=True)
save_pngs(numpy.random.default_rng(1))
save_jpegs()
save_shards()
(FOLDER / "expected.json").write_text(json.dumps(expected, separators=(",", ":")) + "\n")
