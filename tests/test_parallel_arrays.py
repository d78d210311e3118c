"""Arrays and CSR matrices as bytes."""

import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from problems import random_csr
from scipy import sparse

from sparsenet._parallel.arrays import pack, stacked, unpack

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32])


def equal(first, second):
    assert first.dtype == second.dtype
    assert first.shape == second.shape
    if sparse.issparse(second):
        assert first.format == "csr"
        first, second = first.toarray(), second.toarray()
    np.testing.assert_array_equal(first, second)


@each_dtype
@pytest.mark.parametrize("shape", [(), (0,), (7,), (3, 4), (0, 4)])
def test_arrays_come_back_as_they_were(dtype, shape):
    array = np.arange(np.prod(shape, dtype=int), dtype=dtype).reshape(shape)
    (back,) = unpack(pack(array))
    equal(back, array)


@given(
    arrays(
        st.sampled_from([np.float32, np.float64, np.int32]),
        array_shapes(max_dims=2, min_side=0),
    )
)
@settings(deadline=None, max_examples=30)
def test_any_array_comes_back(array):
    equal(unpack(pack(array))[0], array)


def test_columns_of_a_matrix_come_back():
    matrix = np.arange(12.0).reshape(3, 4)
    equal(unpack(pack(matrix[:, ::2]))[0], matrix[:, ::2])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(5, 9), (0, 9), (4, 1)])
def test_csr_matrices_come_back_as_they_were(dtype, shape):
    matrix = random_csr(shape, 0.4, np.random.RandomState(0)).astype(dtype)
    (back,) = unpack(pack(matrix))
    equal(back, matrix)
    assert back.has_canonical_format


def test_an_empty_row_at_the_end_is_not_lost():
    matrix = sparse.csr_array(np.float32([[1, 0, 0], [0, 0, 0]]))
    equal(unpack(pack(matrix))[0], matrix)


def test_several_values_keep_their_order():
    matrix = random_csr((3, 4), 0.5, np.random.RandomState(0))
    values = [*range(11)]
    back = unpack(pack(None, np.float32([1]), matrix, None, *map(np.array, values)))
    assert back[0] is None
    equal(back[1], np.float32([1]))
    equal(back[2], matrix)
    assert back[3] is None
    assert [int(value) for value in back[4:]] == values


def test_nothing_at_all_comes_back():
    assert unpack(pack()) == []
    assert unpack(pack(None)) == [None]


def test_objects_are_not_read():
    with pytest.raises(ValueError, match="allow_pickle=False"):
        unpack(pack(np.array([{}])))
    with pytest.raises(ValueError):
        unpack(pickle.dumps(1))


def test_bytes_that_can_be_written_are_read():
    equal(unpack(bytearray(pack(np.arange(3))))[0], np.arange(3))


@each_dtype
def test_stacked_arrays_have_the_rows_of_all(dtype):
    parts = [np.ones((2, 3), dtype), np.zeros((0, 3), dtype), np.full((1, 3), 2, dtype)]
    equal(stacked(parts), np.concatenate(parts))


def test_stacked_csr_matrices_have_the_rows_of_all():
    parts = [random_csr((n, 6), 0.5, np.random.RandomState(n)) for n in (2, 0, 3)]
    expected = np.concatenate([part.toarray() for part in parts])
    whole = stacked(parts)
    assert isinstance(whole, sparse.csr_array)
    np.testing.assert_array_equal(whole.toarray(), expected)


def test_a_single_part_is_not_copied():
    for part in (np.ones((2, 2)), sparse.csr_array(np.ones((2, 2)))):
        assert stacked([part]) is part
