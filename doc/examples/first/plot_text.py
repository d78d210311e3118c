"""
Text: which library does a paragraph come from?
===============================================

The texts are paragraphs of docstrings of NumPy, SciPy and scikit-learn, the classes are
the modules that they are of. ``TfidfVectorizer`` makes a sparse matrix of them, which
the network takes as it is: a training step costs what the words of its texts cost, not
what the vocabulary would.
"""

import inspect

import matplotlib.pyplot as plt
import numpy.fft
import numpy.linalg
import numpy.ma
import scipy.optimize
import scipy.signal
import scipy.stats
import sklearn.metrics
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics import ConfusionMatrixDisplay
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

from sparsenet import SparseMLPClassifier

modules = [
    numpy.fft,
    numpy.linalg,
    numpy.ma,
    scipy.optimize,
    scipy.signal,
    scipy.stats,
    sklearn.metrics,
]
texts, labels = [], []
for module in modules:
    for name in module.__all__:
        paragraphs = (inspect.getdoc(getattr(module, name)) or "").split("\n\n")
        texts += [text for text in paragraphs if len(text) > 80 and ">>>" not in text]
        labels += [module.__name__] * (len(texts) - len(labels))

texts, labels = zip(*dict(zip(texts, labels, strict=True)).items(), strict=True)
texts_train, texts_test, y_train, y_test = train_test_split(
    texts, labels, stratify=labels, random_state=0
)
print(f"{len(texts):,} paragraphs, such as:\n\n{texts[700]}")

# %%
# One dense hidden layer is enough for text: a word should reach every unit. Sparse rows
# need no scaling, since TF-IDF has done it.

model = make_pipeline(
    TfidfVectorizer(sublinear_tf=True),
    SparseMLPClassifier(
        (50,),
        density=1.0,
        learning_rate="flat_cosine",
        learning_rate_init=0.003,
        max_iter=10,
        random_state=0,
    ),
).fit(texts_train, y_train)
linear = make_pipeline(TfidfVectorizer(sublinear_tf=True), LinearSVC())
linear.fit(texts_train, y_train)

vocabulary = len(model[0].vocabulary_)
print(f"{vocabulary:,} words")
print(f"accuracy of the network: {model.score(texts_test, y_test):.3f}")
print(f"accuracy of LinearSVC:   {linear.score(texts_test, y_test):.3f}")

# %%
# Which modules are mistaken for which:

fig, ax = plt.subplots(figsize=(6.5, 5.5), layout="constrained")
ConfusionMatrixDisplay.from_estimator(
    model,
    texts_test,
    y_test,
    normalize="true",
    values_format=".0%",
    xticks_rotation=45,
    colorbar=False,
    ax=ax,
)
plt.show()
