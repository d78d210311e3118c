"""
Calibrated probabilities
========================

Networks are sure of themselves, all the more where there are few rows. Labels that are
smoothed by 0.02 in training keep them from it somewhat; more smoothing makes
probabilities near 0 and 1 too modest. Who needs probabilities that mean what they say
puts scikit-learn's ``CalibratedClassifierCV`` around the estimator.
"""

import matplotlib.pyplot as plt
from sklearn.calibration import CalibratedClassifierCV, CalibrationDisplay
from sklearn.datasets import make_classification
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split

from sparsenet import TabularMLPClassifier

X, y = make_classification(6000, 12, n_informative=6, flip_y=0.1, random_state=0)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0)

# %%
# Each of the four predicts how probable the second class is.

plain = TabularMLPClassifier(random_state=0)
models = {
    "as it is": plain,
    "label_smoothing=0": TabularMLPClassifier(label_smoothing=0.0, random_state=0),
    "label_smoothing=0.1": TabularMLPClassifier(label_smoothing=0.1, random_state=0),
    "calibrated": CalibratedClassifierCV(plain, method="sigmoid", cv=3),
}
fig, ax = plt.subplots(figsize=(5, 5), layout="constrained")
for name, model in models.items():
    probability = model.fit(X_train, y_train).predict_proba(X_test)[:, 1]
    loss = log_loss(y_test, probability)
    accuracy = model.score(X_test, y_test)
    print(f"{name:20} log-loss {loss:.3f}, accuracy {accuracy:.3f}")
    CalibrationDisplay.from_predictions(
        y_test, probability, n_bins=10, strategy="quantile", name=name, ax=ax
    )
plt.show()
