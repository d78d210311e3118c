"""Networks to be pickled, dense rows and sparse ones, and damage to what is pickled."""

import pickle

import numpy as np
import pytest
from problems import SIZES, random_data, random_network, train
from scipy import sparse

from sparsenet._optimizer import Optimizer
from sparsenet._state import checksum

ADAM = Optimizer("adam", 0.01)


def trained(precision="float32", **options):
    network = random_network(precision=precision, **options)
    train(network, *random_data(100), optimizer=ADAM, batch_size=50)
    return network


def random_rows(n, n_features=SIZES[0], n_outputs=SIZES[-1], density=0.3):
    """CSR X and targets."""
    X, y = random_data(n, n_features, n_outputs)
    kept = np.random.default_rng(1).random(X.shape) < density
    return sparse.csr_array(np.where(kept, X, 0)), y


def trained_on_rows(precision="float32", **options):
    """Whose first layer is stored by feature."""
    network = random_network(precision=precision, sparse_rows=True, **options)
    train(network, *random_rows(100), optimizer=ADAM, batch_size=50)
    return network


each_kind = pytest.mark.parametrize("kind", [trained, trained_on_rows])


def copied(network):
    return pickle.loads(pickle.dumps(network))


def damaged(network, change):
    """A copy of the network's state after `change(state, first layer)`.

    With the checksum of what it is: a file may have been made so.
    """
    saved = pickle.loads(pickle.dumps(network.__getstate__()))
    change(saved, saved["layers"][0])
    if "checksum" in saved:
        saved["checksum"] = checksum(saved)
    return saved


def assert_refused(network, change, message):
    saved = damaged(network, change)
    with pytest.raises(ValueError, match="damaged or foreign sparsenet model") as info:
        network.__class__.__new__(network.__class__).__setstate__(saved)
    assert message in str(info.value)
