"""Which rows train, which validate, and how output is rated."""

import numpy as np
import pytest
from scripted_network import FLAT, ScriptedNetwork, run, training_set

from sparsenet._training_set import TrainingSet


@pytest.mark.parametrize("n_classes", [2, 4])
def test_validation_rows_keep_the_shares_of_the_classes(n_classes):
    classes = np.arange(80) % n_classes
    rows, validation = training_set(80, classes).split(0.1, np.random.RandomState(0))
    assert set(np.bincount(classes[validation])) == {8 // n_classes}
    assert sorted([*rows, *validation]) == list(range(80))


@pytest.mark.parametrize(
    "classes",
    [
        pytest.param([0] * 39 + [1], id="a class with one row"),
        pytest.param([*range(20), *range(20)], id="more classes than validation rows"),
    ],
)
def test_validation_rows_are_plain_random_where_stratifying_is_impossible(classes):
    data = training_set(40, np.array(classes))
    rows, validation = data.split(0.1, np.random.RandomState(0))
    assert len(rows) == 36
    assert len(validation) == 4


@pytest.mark.parametrize("fraction", [0.0, 0.02, 0.99])
def test_too_few_rows_to_validate_or_train_on_name_the_parameter(fraction):
    with pytest.raises(ValueError, match=f"validation_fraction={fraction}.*allowed"):
        run(ScriptedNetwork(), early_stopping=True, validation_fraction=fraction)


def test_rows_are_rated_in_chunks_with_their_weights():
    seen, decided_of = [], []

    def decide(output):
        decided_of.append(len(output))
        return output[:, 0] > 0.5

    def score(y, decided, sample_weight):
        seen.append((len(y), decided.shape, sample_weight.sum()))
        return 0.5

    n = 3000
    X, y, twos = np.zeros((n, 1)), np.zeros((n, 1)), np.full(n, 2, np.float32)
    data = TrainingSet(X, y, None, decide, score, rated_weight=twos)
    rating = data.rate(ScriptedNetwork(outputs=FLAT), np.arange(2500), 1)
    assert rating == (0.5, 1.0)  # the script's losses, of weights 2
    assert decided_of == [1024, 1024, 452]
    assert seen == [(2500, (2500,), 5000)]
