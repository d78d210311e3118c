"""
Callbacks: watching training, and ending it
===========================================

scikit-learn 1.9 brought callbacks, which these estimators tell of every epoch. One of
scikit-learn's own keeps scores; another, written here, ends training as soon as the
accuracy is good enough.
"""

import matplotlib.pyplot as plt
from sklearn.callback import ScoringMonitor
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from sparsenet import LossCurveDisplay, SparseMLPClassifier

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X / 16, y, random_state=0)

# %%
# A callback is a class with these four methods. ``on_fit_task_end`` is called after
# each epoch; ``fitted_estimator()`` is a copy that predicts with the network as it is
# then. Training ends where it returns True.


class EndAt:
    """End training when the accuracy on some samples is reached."""

    def __init__(self, accuracy, X, y):
        self.accuracy, self.X, self.y = accuracy, X, y
        self.scores = []

    def setup(self, estimator, context):
        self.scores.clear()

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context, *, fitted_estimator=None):
        if context.parent is None:  # the end of the whole fit, not of an epoch
            return False
        self.scores.append(fitted_estimator.score(self.X, self.y))
        return self.scores[-1] >= self.accuracy

    def teardown(self, estimator, context):
        pass


# %%
# Both callbacks watch the same fit.

end_at, monitor = EndAt(0.97, X_test, y_test), ScoringMonitor(scoring="accuracy")
classifier = SparseMLPClassifier((256, 256), density=0.2, random_state=0)
classifier.set_callbacks(end_at, monitor).fit(X_train, y_train)
print(f"ended after {classifier.n_iter_} epochs of {classifier.max_iter}")

log = monitor.get_logs().data_as_pandas
print(log.tail(3))

# %%
# The losses that the estimator keeps, and the scores of the callback.

display = LossCurveDisplay.from_estimator(classifier)
scores = display.ax_.twinx()
scores.plot(range(1, len(end_at.scores) + 1), end_at.scores, "--", color="C1")
scores.set(ylabel="test accuracy, from the callback")
plt.show()
