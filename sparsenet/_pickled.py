"""What pickles of an estimator hold, and the check of one that is loaded.

Beside the estimator's class, and what users give as parameters, that is nothing but
numbers, strings, arrays, lists, dicts and NumPy's generator: no class of this package
has to stay where it is, nor to be trusted by those who load a file of skops.
"""

from __future__ import annotations

import copy
import inspect
from typing import TYPE_CHECKING, Any, Literal

from sparsenet._history import History
from sparsenet._kernels._dispatch import LOSS_PARAMETERS, OUT_ACTIVATIONS
from sparsenet._network import Network
from sparsenet._state import DAMAGED, checksum

if TYPE_CHECKING:
    from typing import Self

# What a fit sets and later calls read.
FITTED = (
    "n_features_in_",
    "n_outputs_",
    "n_layers_",
    "out_activation_",
    "_structure",
    "_history",
    "_random_state",
    "_trained_in_parts",
    "_fitted_dtype",
    "_pickled_training_state",
)


def network_of(saved):
    """The network of a pickle: its state, or, of older ones, an object."""
    if isinstance(saved, Network):
        return saved
    network = Network.__new__(Network)
    network.__setstate__(saved)
    return network


def _history_of(saved):
    """Likewise."""
    if saved is None or isinstance(saved, History):
        return saved  # None: in a callback of a first fit
    try:
        return History.from_state(saved)
    except (TypeError, KeyError) as error:
        raise ValueError(f"{DAMAGED}: its history is {type(saved)}") from error


class PickledMixin:
    """Of estimators that keep their network as ``_network``."""

    def set_pickle(self, *, training_state: bool | Literal["auto"] = "auto") -> Self:
        """Choose what pickles of this estimator hold.

        Parameters
        ----------
        training_state : bool or 'auto', default='auto'
            Whether pickles hold what only training needs: the optimizer's state and,
            with 16 or 8 bits, the weights in float32. With it, a loaded estimator goes
            on training as this one would, to the same bits, and a pickle takes 4 to 14
            bytes more for each connection. 'auto': after `partial_fit`, but not after
            `fit`.

        Returns
        -------
        self : object
            The estimator. The choice also holds after later calls of `fit` and
            `partial_fit`; `sklearn.base.clone` forgets it.

        Raises
        ------
        ValueError
            `training_state` is something else.
        """
        if not isinstance(training_state, bool) and training_state != "auto":
            raise ValueError(
                f"{type(self).__name__}: training_state={training_state!r}; allowed: "
                "True, False or 'auto'"
            )
        self._pickled_training_state = training_state
        if hasattr(self, "_network"):
            self._choose_pickle()
        return self

    def _choose_pickle(self):
        """Let the network know what pickles are to hold."""
        training = getattr(self, "_pickled_training_state", "auto")
        if training == "auto":
            training = getattr(self, "_trained_in_parts", False)
        self._network = self._network.with_pickles(training)

    def __copy__(self) -> Self:
        return self._aside()

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """With all that pickles leave out."""
        other = memo[id(self)] = self._aside()
        vars(other).update(copy.deepcopy(vars(self), memo))
        return other

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        if "_network" in state:
            state = state | {
                "_network": self._network.__getstate__(),
                "_history": self._history and self._history.to_state(),
                "_checksum": checksum(self._fitted_part(state)),
            }
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = state.copy()
        expected = state.pop("_checksum", None)
        if "_network" in state:
            state["_network"] = network_of(state["_network"])
            state["_history"] = _history_of(state.get("_history"))
        super().__setstate__(state)
        for name, parameter in inspect.signature(type(self)).parameters.items():
            if name not in state:  # of a version before the parameter
                setattr(self, name, parameter.default)
        network = state.get("_network")
        if network is None:
            return
        if "loss_curve_" in state:  # perhaps of a version that had no other curves
            for name in ("validation_loss_curve_", "train_scores_"):
                setattr(self, name, state.get(name))
        if expected is not None and checksum(self._fitted_part(state)) != expected:
            raise ValueError(f"{DAMAGED}: the checksum of its attributes is another")
        of_loss = LOSS_PARAMETERS.get(network.loss)
        if of_loss is not None and "_structure" in state:
            # Maybe of a version in which the loss had no parameter.
            self._structure = {of_loss: network.loss_parameter} | self._structure
        expected = {
            "n_features_in_": network.layer_sizes[0],
            "n_outputs_": network.layer_sizes[-1],
            "n_layers_": len(network.layer_sizes),
            "out_activation_": OUT_ACTIVATIONS[network.loss],
        }
        for name, value in expected.items():
            if state.get(name) != value:
                raise ValueError(
                    f"{DAMAGED}: {name} is {state.get(name)!r}, but {value!r} of its "
                    "network"
                )

    def _fitted_part(self, state):
        """What a pickle's checksum covers, beside the network, which has its own."""
        names = {"classes_", "feature_names_in_", *FITTED, *self.get_params(deep=False)}
        return {name: state[name] for name in names if name in state}
