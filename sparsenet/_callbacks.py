"""scikit-learn's callbacks: a call that trains is a task, and each epoch one of it."""

from contextlib import contextmanager

from sparsenet._watchers import Callbacks

try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:  # scikit-learn before 1.9 has no callbacks

    class CallbackSupportMixin:
        """In the place of scikit-learn's."""

    with_callbacks = None


@contextmanager
def callbacks_told(estimator, data, max_epochs, with_network):
    """While entered, an estimator's callbacks are told of a call that trains it.

    Parameters
    ----------
    estimator : object
        With `CallbackSupportMixin`; what is trained, and what callbacks get.
    data : TrainingSet
    max_epochs : int
        Subtasks of the call; 0 if it has none.
    with_network : callable
        ``with_network(network, history)`` is a fitted estimator that predicts with it.

    Yields
    ------
    list of Watcher
        Who tell them of epochs.
    """
    if with_callbacks is None:
        yield []
        return

    def content(rows):
        """What callbacks may ask for: functions are called for those who do."""

        def metadata():
            weights = data.weights_of(rows)
            return None if weights is None else {"sample_weight": weights}

        return {
            "X": lambda: data.as_given(rows)[0],
            "y": lambda: data.as_given(rows)[1],
            "metadata": metadata,
        }

    try:
        # The one private name that scikit-learn documents for estimators.
        task = estimator._init_callback_context(max_subtasks=max_epochs)
        task.call_on_fit_task_begin(estimator=estimator, **content(data.rows))
        yield [Callbacks(task, estimator, content, with_network)]
        # It is fitted by now: a copy of it needs nothing.
        task.call_on_fit_task_end(
            estimator=estimator, reconstruction_attributes={}, **content(data.rows)
        )
    finally:
        # scikit-learn tears callbacks down after a method that is decorated so. Around
        # `fit`, the decorator would be what warnings point to.
        with_callbacks(_nothing)(estimator)


def _nothing(estimator):
    """A method that leaves everything to its decorator."""
