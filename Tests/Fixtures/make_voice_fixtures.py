"""Numbers that the band spectrogram is compared with: scipy's short-time Fourier transform and numpy.

python3 make_voice_fixtures.py writes voices/band-spectrogram.json.
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


n = numpy.arange(3000)
x = 0.5 * numpy.sin(0.05 * n) + 0.3 * numpy.sin(0.2 * n + 0.0001 * n * n) + 0.01 * numpy.cos(1.7 * n)
filters = numpy.concatenate([bank(20, 220, 4, 3), bank(100, 8000, 8, 1)])
window = scipy.signal.get_window("hann", LENGTH)
transform = scipy.signal.ShortTimeFFT(window, HOP, RATE).stft(x)
# Frames that begin at 0 and lie within the sound.
first = LENGTH // 2 // HOP - scipy.signal.ShortTimeFFT(window, HOP, RATE).p_min
count = (len(x) - LENGTH) // HOP + 1
power = abs(transform[:, first : first + count]) ** 2
bands = numpy.log(filters @ power + 1e-4).T
folder = os.path.join(os.path.dirname(os.path.abspath(__file__)), "voices")
os.makedirs(folder, exist_ok=True)
with open(os.path.join(folder, "band-spectrogram.json"), "w") as file:
    json.dump([[round(float(v), 9) for v in row] for row in bands], file)
    file.write("\n")
