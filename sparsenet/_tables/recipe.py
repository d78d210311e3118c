"""How long a network trains on a table, and in which steps.

Chosen on tables of ``benchmarks/public_tables.py`` and on 750 to 3,000 rows of them.
"""

import math

#: Samples that a network visits, of tables with two classes; of smaller tables than
#: this fewer, with the root of their size.
N_VISITS, N_SAMPLES = 125_000, 6_000


def batch_size_of(batch_size, n_samples):
    """Size of the mini-batches: a fiftieth of the samples, within bounds."""
    if batch_size != "auto":
        return batch_size
    power = round(math.log2(max(n_samples / 50, 1)))
    return min(max(2**power, 32), 256, n_samples)


def epochs_of(max_iter, n_samples, n_outputs):
    """Number of epochs: small tables are seen often, and many classes oftener."""
    if max_iter != "auto":
        return max_iter
    n_visits = N_VISITS * math.sqrt(max(n_outputs, 2) / 2)
    n_visits *= math.sqrt(min(n_samples / N_SAMPLES, 1))
    return min(max(round(n_visits / n_samples), 8), 200)


def rewire_interval_of(n_epochs, n_samples, batch_size):
    """Steps from one round of new connections to the next: five rounds, or more."""
    n_steps = n_epochs * math.ceil(n_samples / batch_size)
    return min(max(n_steps // 5, 1), 100)


def n_knots_of(n_samples, n_numbers):
    """Hat functions of a column: many where there are few columns and many samples."""
    by_columns = min(max(256 // max(n_numbers, 1), 8), 24)
    return min(by_columns, max(n_samples // 256, 4))
