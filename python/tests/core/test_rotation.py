"""`rotate_keys` against the rotation written once more in numpy."""

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import kvevict


def rotated(keys, shift, rope):
    """Keys ``[..., seq, dim]`` of float64, row r turned on by ``shift[r]`` positions."""
    n_rot = rope.n_rot or keys.shape[-1] - rope.first_dim
    pair = np.arange(n_rot // 2)
    a, b = (pair, pair + n_rot // 2) if rope.pairing == "neox" else (2 * pair, 2 * pair + 1)
    a, b = a + rope.first_dim, b + rope.first_dim
    factors = np.array(rope.freq_factors) if len(rope.freq_factors) else 1.0
    angle = shift[:, None] * rope.base ** (-2.0 * pair / n_rot) / factors * rope.freq_scale
    out = keys.copy()
    out[..., a] = keys[..., a] * np.cos(angle) - keys[..., b] * np.sin(angle)
    out[..., b] = keys[..., a] * np.sin(angle) + keys[..., b] * np.cos(angle)
    return out


ropes = st.builds(
    kvevict.RopeConfig,
    base=st.sampled_from([10000.0, 500000.0]),
    n_rot=st.sampled_from([0, 4]),
    pairing=st.sampled_from(["neox", "norm"]),
    first_dim=st.sampled_from([0, 2]),
    freq_scale=st.sampled_from([1.0, 0.25]),
)


@settings(deadline=None)
@given(ropes, st.sets(st.integers(0, 3000), min_size=1, max_size=20), st.sampled_from([np.float32, ml_dtypes.bfloat16]))
def test_keys_are_rotated_by_the_difference(rope, positions, dtype):
    old = np.array(sorted(positions))
    new = np.arange(len(old))
    keys = np.random.default_rng(1).standard_normal((2, 3, len(old), 8)).astype(dtype)
    expected = rotated(keys.astype(np.float64), new - old, rope)
    kvevict.rotate_keys(keys, old, new, rope)
    np.testing.assert_allclose(keys.astype(np.float64), expected, atol=3e-7 * 40 if dtype == np.float32 else 0.03)


def test_llama3s_factors_are_taken():
    factors = kvevict.llama3_freq_factors(
        n_rot=8, base=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, n_ctx_orig=8192
    )
    assert factors[0] == 1
    assert factors[-1] == 8
    rope = kvevict.RopeConfig(base=500000.0, freq_factors=factors)
    keys = np.ones((1, 1, 2, 8), np.float32)
    expected = rotated(keys.astype(np.float64), np.array([0, -50]), rope)
    kvevict.rotate_keys(keys, [0, 51], [(0, 2)], rope)
    np.testing.assert_allclose(keys, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("old", "rope", "kind", "sentence"),
    [
        ([0, 1], kvevict.RopeConfig(), ValueError, "2 positions for 6 rows"),
        ({0, 1}, kvevict.RopeConfig(), TypeError, "old is a set"),
        (range(5), kvevict.RopeConfig(), ValueError, "5 positions for 6 rows"),
        ([(0, 6)], kvevict.RopeConfig(n_rot=3), ValueError, "n_rot of the rotary embedding is 3"),
        ([(0, 6)], kvevict.RopeConfig(pairing="gptj"), ValueError, '"neox" or "norm" is needed'),
        ([(0, 6)], kvevict.RopeConfig(freq_factors=[1.0]), ValueError, "1 freq_factors for 4 pairs"),
        ([(0, 6)], kvevict.RopeConfig(base=0.5), ValueError, "base of the rotary embedding is 0.5"),
        ([(0, 6)], 10000.0, TypeError, "rope is a float: a RopeConfig is needed"),
    ],
)
def test_what_cannot_be_is_refused(old, rope, kind, sentence):
    keys = np.ones((1, 2, 6, 8), np.float32)
    with pytest.raises(kind, match=sentence):
        kvevict.rotate_keys(keys, old, [(1, 7)], rope)
    assert (keys == 1).all()


def test_whole_numbers_cannot_be_rotated():
    with pytest.raises(NotImplementedError, match="i8"):
        kvevict.rotate_keys(np.ones((1, 1, 2, 8), np.int8), [0, 1], [1, 2], kvevict.RopeConfig())
