"""Clients that are missing, closed, or of another kind."""

import asyncio

import pytest

pytest.importorskip("distributed", reason="Dask is an extra")

from clusters import cluster_of
from dask.distributed import Client

from sparsenet.dask import SparseMLPClassifier

X, LABELS = [[0.0], [1.0]], [0, 1]


def test_a_client_is_needed():
    model = SparseMLPClassifier()
    with pytest.raises(ValueError, match="client=None and there is no client yet"):
        model.fit(X, LABELS)


def test_a_closed_client_is_refused():
    with cluster_of(1) as client:
        pass
    with pytest.raises(ValueError, match="client is closed; allowed"):
        SparseMLPClassifier(client=client).fit(X, LABELS)


def test_an_asynchronous_client_is_refused():
    async def fit(address):
        async with Client(address, asynchronous=True, set_as_default=False) as client:
            SparseMLPClassifier(client=client).fit(X, LABELS)

    with cluster_of(1) as client:
        with pytest.raises(ValueError, match="client is asynchronous; allowed"):
            asyncio.run(fit(client.scheduler.address))
