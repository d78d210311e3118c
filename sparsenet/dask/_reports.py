"""What the client is told while workers train, and tells its watchers."""

from contextlib import contextmanager
from types import SimpleNamespace

from distributed.protocol import pickle

from sparsenet import _parameters
from sparsenet._callbacks import callbacks_told
from sparsenet._watchers import Printer
from sparsenet.dask import _worker


class Reports:
    """Verbose output and callbacks of one training.

    Parameters
    ----------
    training : ClusterTraining

    Attributes
    ----------
    wanted : {"no", "yes", "answer"}
        What the first worker is to do at each epoch: nothing, report, or also wait
        until callbacks have answered.
    watchers : list of Watcher
    told : object
        What they get as the training.
    """

    def __init__(self, training):
        self.training, self.estimator = training, training.estimator
        self.wanted = "yes" if self.estimator.verbose else "no"
        if getattr(self.estimator, "_skl_callbacks", None):
            self.wanted = "answer"
        self.watchers = []

    @contextmanager
    def heard(self, given):
        """While entered, the client hears of reports; `given` is what was passed."""
        parameters, client = _parameters.snapshot(self.estimator), self.training.client
        n_epochs = 1 if self.training.incremental else parameters.max_iter
        n_epochs = 0 if parameters.solver == "lbfgs" else n_epochs
        self.told = SimpleNamespace(
            parameters=parameters,
            rows=None,
            stop=False,
            started=False,
            begun=-1,
            ended=-1,
        )
        if self.wanted != "no":
            client.subscribe_topic(_worker.TOPIC, self._hearing())
        try:
            with callbacks_told(
                self.estimator, Given(*given), n_epochs, self._with_network
            ) as watchers:
                self.watchers = list(watchers) if self.wanted == "answer" else []
                self.watchers += [Printer()] if parameters.verbose else []
                yield
        finally:
            if self.wanted != "no":
                client.unsubscribe_topic(_worker.TOPIC)

    def _hearing(self):
        """A function for the events of the topic, of whichever training.

        The client keeps it until the next; so it knows nothing that has samples.
        """
        events, name = self.training.events, _worker.public_name(self.training.token)

        def hear(event):
            if event[1] == name:
                events.put(True)

        return hear

    def take(self):
        """Tell the watchers what the first worker has reported."""
        if not self.watchers:
            return
        first = self.training.addresses[0]
        for reports in self.training.fetched(_worker.take_reports, first).values():
            for report in reports:
                self._tell(pickle.loads(report))

    def _with_network(self, network, history):
        """The Dask estimator as a worker has reported it, with a network."""
        model = self.estimator._aside()
        vars(model).update(self.training.learned(self.told.estimator))
        model._network = network
        model._set_history(history)
        return model

    def _tell(self, report):
        """Tell the watchers what a worker has reported, and answer it."""
        told = self.told
        told.max_iter, told.history = report.max_iter, report.history
        if report.estimator is not None:
            told.estimator = report.estimator
            told.network = told.rated_network = report.estimator._network
        before = told.parameters
        if self._is_news(report):
            for watcher in self.watchers:
                getattr(watcher, report.event)(told, *report.arguments)
        if told.parameters is not before:
            raise ValueError(
                f"{self.training.name}: a callback has changed a parameter, which "
                "workers that train already cannot take"
            )
        if report.estimator is not None:
            first = self.training.addresses[:1]
            self.training.on_workers(_worker.answer, told.stop, addresses=first)

    def _is_news(self, report):
        """Not of an epoch that is trained again, after the loss of a worker."""
        told, n_epochs = self.told, report.history.n_epochs
        if report.event == "started":
            is_news, told.started = not told.started, True
        elif report.event == "epoch_started":
            is_news = n_epochs > told.begun
            told.begun = max(told.begun, n_epochs)
        else:
            is_news = n_epochs > told.ended or report.event == "stalled"
            told.ended = max(told.ended, n_epochs)
        return is_news


class Given:
    """Samples as callbacks get them: Dask collections, or whatever was passed."""

    def __init__(self, X, y, sample_weight):
        self.X, self.y, self.sample_weight = X, y, sample_weight
        self.rows = None

    def as_given(self, rows):
        return self.X, self.y, self.sample_weight

    def weights_of(self, rows):
        return self.sample_weight
