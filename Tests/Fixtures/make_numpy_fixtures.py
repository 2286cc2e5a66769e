"""Makes the files that the tests of NumPy's formats read.

    python3 -m venv /tmp/venv-numpy && /tmp/venv-numpy/bin/pip install numpy
    /tmp/venv-numpy/bin/python Tests/Fixtures/make_numpy_fixtures.py

All matrices hold i * 3 + j - 7 in row i of 5 and column j of 3, over 4 where the type has fractions and with the sign
dropped where it has none.
"""

import pathlib
import zipfile

import numpy

folder = pathlib.Path(__file__).parent / "numpy"
folder.mkdir(exist_ok=True)
whole = numpy.arange(15).reshape(5, 3) - 7

for name in ["<f8", ">f8", "<f4", ">f4", "<f2", ">f2"]:
    numpy.save(folder / f"{name.replace('<', 'little-').replace('>', 'big-')}.npy", (whole / 4).astype(name))
for name in ["int8", "int16", "int32", "int64"]:
    numpy.save(folder / f"{name}.npy", whole.astype(name))
for name in ["uint8", "uint16", "uint32", "uint64"]:
    numpy.save(folder / f"{name}.npy", abs(whole).astype(name))
numpy.save(folder / "big-int16.npy", whole.astype(">i2"))
numpy.save(folder / "bool.npy", whole > 0)
numpy.save(folder / "fortran.npy", numpy.asfortranarray(whole / 4))
numpy.save(folder / "not-finite.npy", numpy.array([[numpy.nan, 1], [numpy.inf, -numpy.inf]]))

for version in [2, 3]:
    with open(folder / f"version-{version}.npy", "wb") as file:
        numpy.lib.format.write_array(file, whole / 4, version=(version, 0))

# The same numbers in both orders, as pictures have: [N, height, width, channels].
cube = numpy.arange(48, dtype="uint8").reshape(2, 3, 4, 2)
numpy.save(folder / "four-axes.npy", cube)
numpy.save(folder / "four-axes-fortran.npy", numpy.asfortranarray(cube))

numpy.savez(folder / "one-stored.npz", x=whole / 4)
numpy.savez_compressed(folder / "one-deflated.npz", x=whole / 4)
numpy.savez_compressed(folder / "two.npz", points=whole / 4, labels=numpy.arange(5))
numpy.savez(folder / "not-ascii.npz", **{"größe": whole / 4})

# What is refused.
numpy.save(folder / "one-axis.npy", numpy.arange(5.0))
numpy.save(folder / "no-axes.npy", numpy.array(5.0))
numpy.save(folder / "no-rows.npy", numpy.zeros((0, 3)))
numpy.save(folder / "objects.npy", numpy.array([["a", None]], dtype=object))
numpy.save(folder / "records.npy", numpy.zeros((2, 2), dtype=[("x", "<f8"), ("y", "<f4")]))
numpy.save(folder / "complex.npy", numpy.zeros((2, 2), dtype="complex128"))
numpy.save(folder / "text.npy", numpy.array([["a", "b"]]))
with zipfile.ZipFile(folder / "bzip2.npz", "w", zipfile.ZIP_BZIP2) as archive:
    archive.writestr(zipfile.ZipInfo("x.npy"), (folder / "little-f8.npy").read_bytes(), zipfile.ZIP_BZIP2)
