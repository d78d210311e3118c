"""What the tests of several modules run over."""

import problems
import pytest


@pytest.fixture(params=problems.BLOCK_SIZES)
def each_block_size(request, monkeypatch):
    """Make the networks of `problems.random_network` of single units, and of blocks."""
    monkeypatch.setattr(problems, "block_size", request.param)
    return request.param
