"""Makes the small pictures of Tests/Fixtures/pictures: turned ones, WebP, and ones in other colors than sRGB's.

    python3 -m venv /tmp/venv-media && /tmp/venv-media/bin/pip install pillow numpy
    /tmp/venv-media/bin/python Tests/Fixtures/make_picture_fixtures.py

expected.json holds, for each picture, its RGB bytes over white in base64: what Pillow's decoders and Little CMS make of
it, or for matrix profiles and PNG's own chunks what the equations of ICC.1 and IEC 61966-2-1 do.
"""

import base64
import io
import json
import pathlib
import struct
import tarfile
import zlib

import numpy
from PIL import Image, ImageChops, ImageCms, ImageOps

FOLDER = pathlib.Path(__file__).parent / "pictures"
WIDTH, HEIGHT = 20, 12
expected = {}


def scene(width=WIDTH, height=HEIGHT):
    """Without symmetry, smooth, and with saturated colors."""
    y, x = numpy.mgrid[0:height, 0:width]
    x, y = x / (width - 1), y / (height - 1)
    return numpy.stack([255 * x, 255 * y, 255 * (1 - x) * y + 60 * (1 - y)], 2).round().astype(numpy.uint8)


def alpha(width=WIDTH, height=HEIGHT):
    y, x = numpy.mgrid[0:height, 0:width]
    return ((7 * x + 20 * y) % 256).astype(numpy.uint8)


def save(name, content, pixels):
    pixels = numpy.asarray(pixels)
    (FOLDER / name).write_bytes(content)
    height, width = pixels.shape[:2]
    rgb = base64.b64encode(pixels.astype(numpy.uint8).tobytes()).decode()
    expected[name] = {"width": width, "height": height, "pixels": rgb}


def encoded(image, form, **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def jpeg(image, **options):
    return encoded(image, "JPEG", **{"quality": 95, "subsampling": 0, **options})


def decoded(content):
    return Image.open(io.BytesIO(content))


def over_white(pixels):
    color, opacity = pixels[..., :3].astype(float), pixels[..., 3:].astype(float)
    return numpy.floor((color * opacity + 255 * (255 - opacity)) / 255 + 0.5)


# Containers.


def png_chunk(kind, content):
    body = kind + content
    return struct.pack(">I", len(content)) + body + struct.pack(">I", zlib.crc32(body))


def png(pixels, before=b"", after=b""):
    """8-bit or 16-bit RGB or grey, with chunks before and after the pixels."""
    depth = 8 * pixels.dtype.itemsize
    kind = 2 if pixels.ndim == 3 else 0
    rows = b"".join(b"\0" + row.astype(row.dtype.newbyteorder(">")).tobytes() for row in pixels)
    header = struct.pack(">IIBBBBB", pixels.shape[1], pixels.shape[0], depth, kind, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + before
    return start + png_chunk(b"IDAT", zlib.compress(rows)) + after + png_chunk(b"IEND", b"")


def riff_chunk(kind, content):
    return kind + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)


def webp(flags, width, height, *chunks):
    extended = struct.pack("<I", flags) + struct.pack("<I", width - 1)[:3] + struct.pack("<I", height - 1)[:3]
    body = b"WEBP" + riff_chunk(b"VP8X", extended) + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def exif(orientation, is_big_endian=False, size=2):
    """A TIFF directory of three entries, the orientation in the middle."""
    order = ">" if is_big_endian else "<"
    value = struct.pack(order + "HH", orientation, 0) if size == 2 else struct.pack(order + "I", orientation)
    entries = [
        struct.pack(order + "HHIHH", 0x0100, 3, 1, 8, 0),
        struct.pack(order + "HHI", 0x0112, 3 if size == 2 else 4, 1) + value,
        struct.pack(order + "HHII", 0x011A, 5, 1, 50),
    ]
    head = (b"MM" if is_big_endian else b"II") + struct.pack(order + "HIH", 42, 8, len(entries))
    return head + b"".join(entries) + struct.pack(order + "III", 0, 72, 1)


# Profiles, as ICC.1:2001-04 lays them out.

D50 = (0.9642, 1.0, 0.8249)


def fixed(*numbers):
    return b"".join(struct.pack(">i", round(number * 65536)) for number in numbers)


def profile(space, kind, connection, tags):
    text = b"made for tests\0"
    tags = [
        (b"desc", b"desc" + struct.pack(">II", 0, len(text)) + text + bytes(78)),
        (b"cprt", b"text\0\0\0\0none\0"),
        (b"wtpt", b"XYZ \0\0\0\0" + fixed(*D50)),
        *tags,
    ]
    position = 132 + 12 * len(tags)
    table, body = b"", b""
    for name, content in tags:
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", position + len(body), len(content))
        body += content
    size = position + len(body)
    head = struct.pack(">I4xI", size, 0x02200000) + kind + space + connection + struct.pack(">6H", 2026, 1, 1, 0, 0, 0)
    head += b"acsp" + bytes(28) + fixed(*D50)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


def power_curve(gamma):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256))


def table_curve(values):
    return b"curv\0\0\0\0" + struct.pack(">I", len(values)) + numpy.asarray(values).round().astype(">u2").tobytes()


def matrix_profile(matrix, curve):
    """Columns of `matrix` are the lights' XYZ, adapted to D50."""
    tags = [(name, b"XYZ \0\0\0\0" + fixed(*matrix[:, i])) for i, name in enumerate([b"rXYZ", b"gXYZ", b"bXYZ"])]
    return profile(b"RGB ", b"mntr", b"XYZ ", tags + [(name, curve) for name in [b"rTRC", b"gTRC", b"bTRC"]])


def adapted(white, red, green, blue):
    """The matrix of lights with these x and y, brought to D50 by Bradford's method."""

    def xyz(point):
        return numpy.array([point[0] / point[1], 1, (1 - point[0] - point[1]) / point[1]])

    lights = numpy.stack([xyz(red), xyz(green), xyz(blue)], 1)
    lights = lights * numpy.linalg.solve(lights, xyz(white))
    bradford = numpy.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    gain = (bradford @ numpy.array(D50)) / (bradford @ xyz(white))
    return numpy.linalg.inv(bradford) @ numpy.diag(gain) @ bradford @ lights


D65 = (0.3127, 0.3290)
SRGB = adapted(D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
ADOBE_RGB = adapted(D65, (0.64, 0.33), (0.21, 0.71), (0.15, 0.06))
DISPLAY_P3 = adapted(D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))


def srgb_light(samples):
    return numpy.where(samples <= 0.04045, samples / 12.92, ((samples + 0.055) / 1.055) ** 2.4)


def to_srgb(samples, matrix, curve):
    """`samples` are 0...1, and so is light, which `curve` makes of them."""
    light = numpy.clip(curve(samples) @ matrix.T @ numpy.linalg.inv(SRGB).T, 0, 1)
    return (255 * numpy.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)).round()


def cmyk_profile():
    """The colors of sixteen overprints, between which is interpolated."""
    papers = {0: (95, 0, 0), 1: (55, -35, -48), 2: (47, 72, -4), 3: (25, 18, -45), 4: (88, -6, 90), 5: (50, -64, 26)}
    papers |= {6: (46, 66, 45), 7: (22, 0, 0)}
    clut = b""
    for corner in range(16):
        # The last ink varies fastest: black.
        cyan, magenta, yellow, black = corner >> 3 & 1, corner >> 2 & 1, corner >> 1 & 1, corner & 1
        lightness, a, b = papers[cyan + 2 * magenta + 4 * yellow]
        if black:
            lightness, a, b = 0.16 * lightness, 0.1 * a, 0.1 * b
        clut += bytes([round(lightness * 2.55), round(a) + 128, round(b) + 128])
    straight = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + fixed(1, 0, 0, 0, 1, 0, 0, 0, 1) + 4 * straight + clut + 3 * straight
    return profile(b"CMYK", b"prtr", b"Lab ", [(b"A2B0", lut)])


def with_profile(image, content, to="RGB"):
    """What Little CMS makes of the pixels."""
    source = ImageCms.ImageCmsProfile(io.BytesIO(content))
    return ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode=to)


def save_turned():
    image = Image.fromarray(scene())
    for orientation in range(1, 9):
        block = exif(orientation, is_big_endian=orientation % 2 == 0, size=4 if orientation == 5 else 2)
        content = jpeg(image, exif=b"Exif\0\0" + block)
        save(f"turned-{orientation}.jpg", content, ImageOps.exif_transpose(decoded(content)))
    quarter = numpy.rot90(scene(), -1)
    save("turned-6.png", png(scene(), before=png_chunk(b"eXIf", exif(6))), quarter)
    save("turned-6-late.png", png(scene(), after=png_chunk(b"eXIf", exif(6, is_big_endian=True))), quarter)
    transparent = numpy.dstack([scene(), alpha()])
    content = encoded(Image.fromarray(transparent), "PNG", exif=exif(8))
    save("turned-8-transparent.png", content, numpy.rot90(over_white(transparent)))
    lossless = encoded(image, "WEBP", lossless=True)[12:]
    content = webp(0x08, WIDTH, HEIGHT, lossless, riff_chunk(b"EXIF", exif(5)))
    save("turned-5.webp", content, scene().transpose(1, 0, 2))
    content = webp(0x08, WIDTH, HEIGHT, lossless, riff_chunk(b"EXIF", b"Exif\0\0" + exif(3)))
    save("turned-3.webp", content, scene()[::-1, ::-1])
    # Decoded scaled down, too.
    wide = numpy.repeat(numpy.repeat(scene(), 4, 0), 4, 1)
    content = jpeg(Image.fromarray(wide), exif=b"Exif\0\0" + exif(3))
    save("turned-3-large.jpg", content, ImageOps.exif_transpose(decoded(content)))


def save_webp():
    image = Image.fromarray(scene())
    transparent = Image.fromarray(numpy.dstack([scene(), alpha()]))
    save("lossless.webp", encoded(image, "WEBP", lossless=True), scene())
    content = encoded(transparent, "WEBP", lossless=True, exact=True)
    save("lossless-transparent.webp", content, over_white(numpy.asarray(transparent)))
    content = encoded(image, "WEBP", quality=80)
    save("lossy.webp", content, decoded(content))
    content = encoded(transparent, "WEBP", quality=80)
    save("lossy-transparent.webp", content, over_white(numpy.asarray(decoded(content).convert("RGBA"))))
    grey = Image.fromarray(scene()[..., 0])
    content = encoded(grey, "WEBP", lossless=True)
    save("grey.webp", content, numpy.asarray(grey.convert("RGB")))
    others = [Image.fromarray(255 - scene()), Image.fromarray(scene()[::-1])]
    content = encoded(image, "WEBP", lossless=True, save_all=True, append_images=others, duration=100)
    save("animated.webp", content, scene())
    # The first picture covers a part of the canvas.
    part = scene(8, 6)
    pixels = encoded(Image.fromarray(part), "WEBP", lossless=True)[12:]
    frame = struct.pack("<I", 3)[:3] + struct.pack("<I", 2)[:3] + struct.pack("<I", 7)[:3] + struct.pack("<I", 5)[:3]
    frame += struct.pack("<I", 100)
    canvas = numpy.full((HEIGHT, WIDTH, 3), 255)
    canvas[4:10, 6:14] = part
    chunks = [riff_chunk(b"ANIM", bytes(6)), riff_chunk(b"ANMF", frame + pixels), riff_chunk(b"ANMF", frame + pixels)]
    save("animated-part.webp", webp(0x12, WIDTH, HEIGHT, *chunks), canvas)


def save_colors():
    rgb = scene()
    image = Image.fromarray(rgb)
    adobe = matrix_profile(ADOBE_RGB, power_curve(563 / 256))
    p3 = matrix_profile(DISPLAY_P3, table_curve(65535 * srgb_light(numpy.linspace(0, 1, 1024))))

    def adobe_curve(samples):
        return samples ** (563 / 256)

    def power(exponent):
        return lambda samples: samples**exponent

    content = jpeg(image, icc_profile=adobe)
    save("adobe-rgb.jpg", content, to_srgb(numpy.asarray(decoded(content)) / 255, ADOBE_RGB, adobe_curve))
    save("adobe-rgb.png", encoded(image, "PNG", icc_profile=adobe), to_srgb(rgb / 255, ADOBE_RGB, adobe_curve))
    content = encoded(image, "WEBP", lossless=True, icc_profile=p3)
    save("display-p3.webp", content, to_srgb(rgb / 255, DISPLAY_P3, srgb_light))
    transparent = Image.fromarray(numpy.dstack([rgb, alpha()]))
    content = encoded(transparent, "PNG", icc_profile=p3)
    pixels = numpy.dstack([to_srgb(rgb / 255, DISPLAY_P3, srgb_light), alpha()])
    save("display-p3-transparent.png", content, over_white(pixels))
    samples = (scene() * 257.0).astype(numpy.uint16)
    compressed = b"wide\0\0" + zlib.compress(adobe)
    content = png(samples, before=png_chunk(b"iCCP", compressed))
    save("adobe-rgb-16.png", content, to_srgb(samples / 65535, ADOBE_RGB, adobe_curve))
    content = jpeg(image, exif=b"Exif\0\0" + exif(6), icc_profile=adobe)
    turned = numpy.rot90(to_srgb(numpy.asarray(decoded(content)) / 255, ADOBE_RGB, adobe_curve), -1)
    save("adobe-rgb-turned-6.jpg", content, turned)

    # Profiles that are sRGB's, one in a table of 1,024 entries and one in Little CMS's own words: no pixel changes.
    table = matrix_profile(SRGB, table_curve(65535 * srgb_light(numpy.linspace(0, 1, 1024))))
    content = jpeg(image, icc_profile=table)
    save("srgb-table.jpg", content, decoded(content))
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Its date would make another file each time.
    own = own[:24] + bytes(12) + own[36:]
    save("srgb.png", encoded(image, "PNG", icc_profile=own), rgb)

    grey = Image.fromarray(rgb[..., 0])
    dots = profile(b"GRAY", b"mntr", b"XYZ ", [(b"kTRC", power_curve(1.5))])
    light = numpy.repeat((rgb[..., :1] / 255), 3, 2)
    save("grey-profile.png", encoded(grey, "PNG", icc_profile=dots), to_srgb(light, SRGB, power(1.5)))
    content = jpeg(grey, icc_profile=dots)
    light = numpy.repeat(numpy.asarray(decoded(content))[..., None] / 255, 3, 2)
    save("grey-profile.jpg", content, to_srgb(light, SRGB, power(1.5)))

    # Pillow inverts CMYK on saving and on reading, and writes Adobe's mark.
    inks = numpy.dstack([255 - rgb, alpha() // 3])
    press = cmyk_profile()
    content = jpeg(Image.fromarray(inks, "CMYK"), icc_profile=press)
    save("cmyk-profile.jpg", content, with_profile(decoded(content), press))
    content = jpeg(Image.fromarray(255 - inks, "CMYK"), icc_profile=press)
    start = content.index(b"\xff\xee")
    assert content[start + 4 : start + 9] == b"Adobe"
    content = content[:start] + content[start + 2 + int.from_bytes(content[start + 2 : start + 4], "big") :]
    save("cmyk-profile-plain.jpg", content, with_profile(ImageChops.invert(decoded(content)), press))

    # Profiles that cannot be this picture's.
    content = jpeg(image, icc_profile=press)
    save("profile-of-a-press.jpg", content, decoded(content))
    content = jpeg(image, icc_profile=adobe[:300])
    save("profile-cut.jpg", content, decoded(content))
    content = jpeg(image, icc_profile=dots)
    save("profile-of-grey.jpg", content, decoded(content))

    # PNG's own words.
    def gamma(value):
        return png_chunk(b"gAMA", struct.pack(">I", round(value * 100_000)))

    def lights(*points):
        return png_chunk(b"cHRM", struct.pack(">8I", *(round(v * 100_000) for point in points for v in point)))

    srgb_lights = lights(D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
    p3_lights = lights(D65, (0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
    save("gamma-of-srgb.png", png(rgb, before=gamma(0.45455) + srgb_lights), rgb)
    save("gamma-1.8.png", png(rgb, before=gamma(1 / 1.8)), to_srgb(rgb / 255, SRGB, power(1.8)))
    light = numpy.repeat(rgb[..., :1] / 255, 3, 2)
    save("gamma-1.8-grey.png", png(rgb[..., 0], before=gamma(1 / 1.8)), to_srgb(light, SRGB, power(1.8)))
    linear = (65535 * srgb_light(rgb / 255)).round().astype(numpy.uint16)
    save("linear-16.png", png(linear, before=gamma(1)), rgb)
    save("lights-of-p3.png", png(rgb, before=p3_lights), to_srgb(rgb / 255, DISPLAY_P3, srgb_light))
    content = png(rgb, before=gamma(0.45455) + p3_lights)
    save("lights-of-p3-gamma-2.2.png", content, to_srgb(rgb / 255, DISPLAY_P3, power(1 / 0.45455)))
    save("srgb-before-gamma.png", png(rgb, before=png_chunk(b"sRGB", b"\0") + gamma(0.45455)), rgb)
    cicp = png_chunk(b"cICP", bytes([12, 13, 0, 1]))
    save("code-points-of-p3.png", png(rgb, before=cicp + gamma(1 / 1.8)), to_srgb(rgb / 255, DISPLAY_P3, srgb_light))
    save("code-points-of-srgb.png", png(rgb, before=png_chunk(b"cICP", bytes([1, 13, 0, 1])) + gamma(1 / 1.8)), rgb)


def save_scans():
    """What else the pixels of a JPEG may stand in, for tests that cut them."""
    image = Image.fromarray(numpy.repeat(numpy.repeat(scene(), 2, 0), 2, 1))
    options = {"sequential": {}, "progressive": {"progressive": True}, "restarts": {"restart_marker_rows": 1}}
    for name, option in options.items():
        content = jpeg(image, **option)
        save(f"{name}.jpg", content, decoded(content))


def save_shard():
    with tarfile.open(FOLDER / "shard.tar", "w", format=tarfile.USTAR_FORMAT) as shard:
        for name, fixture in {"1.webp": "lossless.webp", "2.jfif": "turned-6.jpg"}.items():
            for path, content in [(name, (FOLDER / fixture).read_bytes()), (name.split(".")[0] + ".txt", b"a picture")]:
                info = tarfile.TarInfo(path)
                info.size = len(content)
                shard.addfile(info, io.BytesIO(content))


FOLDER.mkdir(exist_ok=True)
save_turned()
save_webp()
save_colors()
save_scans()
save_shard()
(FOLDER / "expected.json").write_text(json.dumps(expected, indent=0) + "\n")
