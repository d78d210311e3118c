"""
Which inputs a network has chosen
=================================

Training moves connections to where they are of use. Here digits of 8 x 8 pixels lie in
images of 16 x 16, whose other pixels are noise. At first all pixels have as many
connections; after training, the network looks at the digit.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from sparsenet import SparseMLPClassifier, TopologyDisplay

digits, y = load_digits(return_X_y=True)
rng = np.random.default_rng(0)
images = rng.random((len(y), 16, 16))
images[:, 4:12, 4:12] = digits.reshape(-1, 8, 8) / 16
X = images.reshape(len(y), -1)

classifier = SparseMLPClassifier(
    (256,),
    density=0.1,
    learning_rate="flat_cosine",
    batch_size=50,
    rewire_interval=25,
    max_iter=40,
    n_iter_no_change=40,
    random_state=0,
).fit(X, y)
print(classifier.topology_)

# %%
# The importance of an input is the sum of the magnitudes of its weights, times how much
# the input varies. Next to it: how many connections inputs have, and how many changed
# in each round of rewiring.

TopologyDisplay.from_estimator(classifier, X, image_shape=(16, 16))

# %%
# The number of connections of each pixel. It was nearly the same for all at first.

fan_out = classifier.topology_.layers[0].fan_out.reshape(16, 16)
static = SparseMLPClassifier(
    (256,), density=0.1, sparse_training="static", random_state=0
).partial_fit(X, y, classes=np.unique(y))
before = static.topology_.layers[0].fan_out.reshape(16, 16)

fig, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
panels = {"An image": images[0], "Connections at first": before, "and at last": fan_out}
for ax, (title, image) in zip(axes, panels.items(), strict=True):
    scale = {"cmap": "gray_r"} if title == "An image" else {"vmax": fan_out.max()}
    shown = ax.imshow(image, vmin=0, **scale)
    ax.set(title=title, xticks=[], yticks=[])
fig.colorbar(shown, ax=axes[1:], label="units that read the pixel")
plt.show()
