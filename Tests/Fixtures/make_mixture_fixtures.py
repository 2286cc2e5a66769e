"""Makes the numbers that the tests of the classical models compare with, by scikit-learn, in float64.

    python3 -m venv /tmp/venv-mixture && /tmp/venv-mixture/bin/pip install scikit-learn safetensors
    /tmp/venv-mixture/bin/python Tests/Fixtures/make_mixture_fixtures.py
"""

import pathlib
import warnings

import numpy
from safetensors.numpy import save_file
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

warnings.simplefilter("ignore")
random = numpy.random.default_rng(20240607)
rows, columns, components = 400, 6, 4

centres = 3 * random.normal(size=(components, columns))
shapes = random.normal(size=(components, columns, columns)) / 2
chosen = random.integers(0, components, rows)
x = centres[chosen] + numpy.einsum("nij,nj->ni", shapes[chosen], random.normal(size=(rows, columns)))
x += 0.2 * random.normal(size=x.shape)
held_out = x[:40] + 0.1 * random.normal(size=(40, columns))

missing = x.copy()
missing[random.random(x.shape) < 0.15] = numpy.nan

numbers = {"x": x, "held_out": held_out, "missing": missing}
for kind, name in [("full", "full"), ("diag", "diagonal"), ("spherical", "spherical")]:
    model = GaussianMixture(1, covariance_type=kind, reg_covar=0).fit(x)
    numbers[f"gaussian_{name}"] = numpy.atleast_2d(model.score_samples(held_out))
for kind, name in [("full", "full"), ("diag", "diagonal"), ("spherical", "spherical"), ("tied", "tied")]:
    scores = [
        GaussianMixture(components, covariance_type=kind, max_iter=1000, tol=1e-7, random_state=seed).fit(x).score(x)
        for seed in range(10)
    ]
    numbers[f"mixture_{name}"] = numpy.array([[max(scores)]])
for q in (1, 3, 5):
    model = PCA(q, svd_solver="full").fit(x)
    numbers[f"ppca_{q}"] = numpy.atleast_2d(model.score_samples(held_out))
    numbers[f"ppca_noise_{q}"] = numpy.array([[model.noise_variance_]])

folder = pathlib.Path(__file__).parent / "models"
save_file({k: numpy.ascontiguousarray(v, dtype=numpy.float64) for k, v in numbers.items()},
          folder / "mixture.safetensors")
