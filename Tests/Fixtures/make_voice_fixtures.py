"""Numbers that the band spectrogram and the features are compared with: scipy's short-time Fourier transform and numpy.

python3 make_voice_fixtures.py writes voices/band-spectrogram.json and voices/utterance-features.json.
"""

import json
import os

import numpy
import scipy.signal

RATE, LENGTH, HOP = 22050, 1024, 256


def mel(frequency):
    return 2595 * numpy.log10(1 + frequency / 700)


def bank(low, high, count, width):
    centres = numpy.linspace(mel(low), mel(high), count + 2)[1:-1]
    space = (mel(high) - mel(low)) / (count + 1)
    frequencies = numpy.fft.rfftfreq(LENGTH, 1 / RATE)
    return numpy.maximum(0, 1 - abs(mel(frequencies)[None] - centres[:, None]) / (space * width))


def spectrogram(x, filters):
    """Frames that begin at 0 and lie within the sound."""
    transform = scipy.signal.ShortTimeFFT(scipy.signal.get_window("hann", LENGTH), HOP, RATE)
    first = LENGTH // 2 // HOP - transform.p_min
    count = (len(x) - LENGTH) // HOP + 1
    power = abs(transform.stft(x)[:, first : first + count]) ** 2
    return numpy.log(filters @ power + 1e-4).T


def change(bands, step):
    return numpy.log(numpy.square(bands[step:] - bands[:-step]).mean(0) + 1e-6)


def write(name, numbers):
    folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "voices")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, name), "w") as file:
        json.dump([[round(float(v), 9) for v in row] for row in numbers], file)
        file.write("\n")


n = numpy.arange(3000)
x = 0.5 * numpy.sin(0.05 * n) + 0.3 * numpy.sin(0.2 * n + 0.0001 * n * n) + 0.01 * numpy.cos(1.7 * n)
write("band-spectrogram.json", spectrogram(x, numpy.concatenate([bank(20, 220, 4, 3), bank(100, 8000, 8, 1)])))

# Silence on both sides, and between them a sawtooth that rises and swells.
n = numpy.arange(20000)
swell = numpy.maximum(0, numpy.sin(0.0003 * n - 1)) * (1 + 0.9 * numpy.sin(0.002 * n))
cycles = 0.0073 * n + 0.0000002 * n * n
x = swell * (cycles - numpy.floor(cycles) - 0.5)
bands = spectrogram(x, numpy.concatenate([bank(20, 220, 16, 3), bank(100, 8000, 40, 1)]))
level = bands[:, 16:].mean(1)
heard = numpy.flatnonzero(level > level.max() - 9)
assert heard[0] > 0 and heard[-1] < len(bands) - 1
mean = bands[level > level.max() - 6].mean(0)
mel_bands = bands[heard[0] : heard[-1] + 1, 16:]
write("utterance-features.json", [mean[16:], mean[:16], change(mel_bands, 2) - change(mel_bands, 16)])
