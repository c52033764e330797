"""`evict_rows` against numpy's indexing, and what it refuses."""

import ctypes
import threading

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import kvevict

DTYPES = [
    np.float32,
    np.float16,
    ml_dtypes.bfloat16,
    ml_dtypes.float8_e4m3fn,
    ml_dtypes.float8_e5m2,
    np.int8,
    np.uint8,
]


@st.composite
def tensors(draw, shape, dtype):
    """Any bits, in any order of the axes, maybe with gaps between rows."""
    order = draw(st.permutations(range(4)))
    pad = draw(st.integers(0, 2))
    stored = [shape[axis] for axis in order]
    stored[-1] += pad
    itemsize = np.dtype(dtype).itemsize
    raw = draw(hnp.arrays(f"u{itemsize}", stored, elements=st.integers(0, 2 ** (8 * itemsize) - 1)))
    view = raw.view(dtype)[..., : shape[order[-1]]]
    return view.transpose(np.argsort(order))


@st.composite
def evictions(draw):
    batch, heads, seq = draw(st.integers(1, 2)), draw(st.integers(1, 3)), draw(st.integers(1, 24))
    dtype = draw(st.sampled_from(DTYPES))
    k = draw(tensors((batch, heads, seq, draw(st.integers(1, 5))), dtype))
    v = draw(tensors((batch, draw(st.integers(1, 3)), seq, draw(st.integers(0, 4))), dtype))
    n_rows = draw(st.integers(0, seq))
    mask = draw(hnp.arrays(bool, n_rows))
    return k, v, n_rows, mask


def bits(array):
    return np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")


def ranges_of(mask):
    edges = np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]])))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


@settings(max_examples=300, deadline=None)
@given(evictions(), st.sampled_from(["mask", "indices", "list", "ranges", "pairs"]), st.integers(0, 3))
def test_kept_rows_move_to_the_front_to_the_bit(eviction, form, n_threads):
    k, v, n_rows, mask = eviction
    index = np.flatnonzero(mask)
    keep = {
        "mask": mask,
        "indices": index,
        "list": index.tolist(),
        "ranges": ranges_of(mask),
        "pairs": np.array(ranges_of(mask), np.int32).reshape(-1, 2),
    }[form]
    before = [bits(t).copy() for t in (k, v)]
    n = kvevict.evict_rows(k, v, n_rows, keep, n_threads=n_threads)
    assert n == len(index)
    for tensor, old in zip((k, v), before, strict=True):
        np.testing.assert_array_equal(bits(tensor)[:, :, :n], old[:, :, index])
        np.testing.assert_array_equal(bits(tensor)[:, :, n_rows:], old[:, :, n_rows:], "rows that were not in use")


def layer(dtype=np.float32, seq=8):
    return np.arange(2 * seq * 4).reshape(1, 2, seq, 4).astype(dtype)


def test_a_plan_says_which_rows_stay():
    k, v = layer(), layer()
    assert kvevict.evict_rows(k, v, 8, kvevict.Policy("sink_recent:1:2").plan(8)) == 3
    np.testing.assert_array_equal(k[:, :, :3], layer()[:, :, [0, 6, 7]])


def test_v_may_be_left_out():
    k = layer()
    assert kvevict.evict_rows(k, None, 8, [3, 5]) == 2
    np.testing.assert_array_equal(k[:, :, :2], layer()[:, :, [3, 5]])


def test_threads_may_evict_other_tensors_at_once():
    layers = [(layer(seq=4000), layer(seq=4000)) for _ in range(4)]
    keep = list(range(0, 4000, 3))
    threads = [threading.Thread(target=kvevict.evict_rows, args=(k, v, 4000, keep)) for k, v in layers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for k, _ in layers:
        np.testing.assert_array_equal(k[:, :, : len(keep)], layer(seq=4000)[:, :, keep])


def read_only():
    array = layer()
    array.flags.writeable = False
    return array


@pytest.mark.parametrize(
    ("k", "kind", "sentence"),
    [
        (read_only, ValueError, "k is a numpy.ndarray that may only be read"),
        (lambda: np.broadcast_to(layer()[:, :1], (1, 2, 8, 4)), ValueError, "may only be read"),
        (lambda: np.lib.stride_tricks.as_strided(layer(), (1, 2, 8, 4), (0, 0, 16, 4)), ValueError, "share memory"),
        (lambda: layer(np.float64), TypeError, "k has elements of float64"),
        (lambda: layer(np.int64), TypeError, "k has elements of int64"),
        (lambda: layer(">f4"), TypeError, "k has elements of >f4"),
        (lambda: layer(np.longdouble), TypeError, "k has elements of float128"),
        (lambda: layer()[0], ValueError, "k has 3 axes"),
        (lambda: [[1.0]], TypeError, "k is a list"),
        (lambda: None, TypeError, "k is a NoneType"),
        (lambda: layer().astype(object), TypeError, "k holds Python objects"),
    ],
)
def test_tensors_that_cannot_be_are_refused(k, kind, sentence):
    v = layer()
    with pytest.raises(kind, match=sentence):
        kvevict.evict_rows(k(), v, 8, [5])
    np.testing.assert_array_equal(v, layer(), "nothing was touched")


@pytest.mark.parametrize(
    ("keep", "kind", "sentence"),
    [
        ([3, 2], ValueError, "keep has 2 behind 3: indices must ascend"),
        ([2, 2], ValueError, "keep has 2 behind 2"),
        ([8], ValueError, "row 8.*which has 8 rows"),
        ([2**63 - 1], ValueError, "index 9223372036854775807: 0 to 2147483647 is needed"),
        ([True, False], ValueError, "mask of 2.*8 rows"),
        ([True] + [0] * 7, ValueError, "mixes bools"),
        (kvevict.Policy("sink_recent:1:2").plan(5), ValueError, "plan for 5 tokens and 8 rows are in use"),
        (kvevict.Policy("sink_recent:1:2").plan(9), ValueError, "plan for 9 tokens and 8 rows"),
        ([-1], ValueError, "index -1"),
        ([(3, 1)], ValueError, r"range \[3, 1\)"),
        ([(0, 3), (2, 4)], ValueError, r"range \[2, 4\)"),
        ([1.5], TypeError, "keep is a float"),
        ("0", TypeError, "keep is a str"),
        (3, TypeError, "keep is a int"),
        (np.zeros(7, bool), ValueError, "mask of 7.*8 rows"),
        (np.zeros(8), ValueError, "not of whole numbers"),
        (np.zeros((2, 3), np.int64), ValueError, r"\[n\] or \[n, 2\]"),
        (kvevict.Policy("ladder:1:2:3:span=1").plan(8, n_layers=3), ValueError, "differs by layer"),
    ],
)
def test_rows_that_cannot_be_kept_are_refused(keep, kind, sentence):
    k, v = layer(), layer()
    with pytest.raises(kind, match=sentence):
        kvevict.evict_rows(k, v, 8, keep)
    np.testing.assert_array_equal(k, layer(), "nothing was touched")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (lambda: (layer(), layer(), 9, [1]), "8 rows cannot have 9 in use"),
        (lambda: (layer(), layer(seq=9), 8, [1]), "batch and seq must be equal"),
        (lambda: (k := layer(), k, 8, [1]), "may share memory"),
    ],
)
def test_k_and_v_that_do_not_fit_are_refused(arguments, sentence):
    with pytest.raises(ValueError, match=sentence):
        kvevict.evict_rows(*arguments())


@pytest.mark.parametrize("dtype", [np.int16, np.int32, np.uint8, np.uint64, np.int64])
def test_indices_of_any_whole_numbers_are_taken(dtype):
    k = layer()
    assert kvevict.evict_rows(k, None, 8, np.array([3, 5], dtype)) == 2
    np.testing.assert_array_equal(k[:, :, :2], layer()[:, :, [3, 5]])


def test_a_list_of_bools_is_a_mask():
    k = layer()
    assert kvevict.evict_rows(k, None, 8, [False, True, False, True, False, False, False, False]) == 2
    np.testing.assert_array_equal(k[:, :, :2], layer()[:, :, [1, 3]])


def test_arrays_that_are_immutable_by_their_library_are_refused():
    class ArrayImpl:
        """As jax's: exports its memory, and does not say that it may only be read."""

        def __init__(self):
            self.array = layer()

        def __dlpack__(self, **options):
            return self.array.__dlpack__(**options)

        def __dlpack_device__(self):
            return self.array.__dlpack_device__()

    ArrayImpl.__module__ = "jaxlib._jax"
    k = ArrayImpl()
    with pytest.raises(ValueError, match=r"jaxlib._jax.*ArrayImpl that may only be read"):
        kvevict.evict_rows(k, None, 8, [5])
    np.testing.assert_array_equal(k.array, layer())


def test_memory_of_another_device_is_refused():
    class OnCuda:
        """A tensor that says so in its DLPack: CUDA is device type 2, behind the pointer to the data."""

        device = "cuda:0"

        def __init__(self):
            self.array = layer()

        def __dlpack__(self, **options):
            capsule = self.array.__dlpack__()
            pointer = ctypes.pythonapi.PyCapsule_GetPointer
            pointer.restype, pointer.argtypes = ctypes.c_void_p, (ctypes.py_object, ctypes.c_char_p)
            ctypes.c_int32.from_address(pointer(capsule, b"dltensor") + ctypes.sizeof(ctypes.c_void_p)).value = 2
            return capsule

        def __dlpack_device__(self):
            return (2, 0)

    k = OnCuda()
    for k_and_v in ((k, None), (layer(), k)):
        with pytest.raises(NotImplementedError, match="is on cuda:0: rows are moved in place in host memory alone"):
            kvevict.evict_rows(*k_and_v, 8, [5])
    np.testing.assert_array_equal(k.array, layer())


def test_jax_arrays_are_refused():
    jnp = pytest.importorskip("jax.numpy")
    with pytest.raises(ValueError, match="may only be read"):
        kvevict.evict_rows(jnp.zeros((1, 2, 8, 4)), layer(), 8, [5])
