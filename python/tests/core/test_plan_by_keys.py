"""`plan_by_keys` against keydiff's rule written once more."""

import numpy as np
import pytest

import kvevict

POLICY = kvevict.Policy("keydiff:2:8:10:rotated=1:smooth=1")


def random_keys(n=60, layers=3):
    random = np.random.default_rng(4)
    return [random.standard_normal((1, 2, n, 8)).astype(np.float32) for _ in range(layers)]


def kept_by_the_rule(keys):
    """Sink and recent tokens, and those whose keys are least like the mean: docs/strategies.md, "By keys"."""
    rows = np.stack(keys).astype(np.float64).reshape(-1, *keys[0].shape[2:])  # [layers and heads, token, dim]
    unit = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    mean = unit.mean(1, keepdims=True)
    score = -((unit * mean).sum(-1) / np.linalg.norm(mean, axis=-1)).mean(0)
    n = rows.shape[1]
    middle = sorted(range(2, n - 8), key=lambda i: -score[i])[:10]
    return sorted([0, 1, *middle, *range(n - 8, n)])


def test_what_stands_out_stays():
    keys = random_keys()
    before = [k.copy() for k in keys]
    plan = kvevict.plan_by_keys(POLICY, keys)
    assert plan.to_indices().tolist() == kept_by_the_rule(keys)
    assert plan.n_tokens == 60
    for now, then in zip(keys, before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_a_rotation_is_taken_back():
    keys, rope = random_keys(), kvevict.RopeConfig()
    turned = [k.copy() for k in keys]
    for k in turned:
        for row in range(60):
            kvevict.rotate_keys(k[:, :, row : row + 1], [0], [row], rope)
    policy = kvevict.Policy("keydiff:2:8:10:smooth=1")
    assert kvevict.plan_by_keys(policy, turned, rope=rope).to_indices().tolist() == kept_by_the_rule(keys)


def test_each_layer_may_choose_for_itself():
    keys = random_keys()
    plan = kvevict.plan_by_keys(kvevict.Policy("keydiff:2:8:10:rotated=1:smooth=1:per_layer=1"), keys)
    assert [plan.to_indices(i).tolist() for i in range(3)] == [kept_by_the_rule([k]) for k in keys]


@pytest.mark.parametrize(
    ("policy", "keys", "kind", "sentence"),
    [
        ("sink_recent", random_keys, ValueError, "does not choose by keys"),
        ("h2o", random_keys, ValueError, "does not choose by keys"),
        ("keydiff:rotated=1", list, ValueError, "keys is empty"),
        ("keydiff:rotated=1", lambda: [*random_keys(), *random_keys(50)], ValueError, r"keys\[3\] has 50 rows"),
        ("keydiff:rotated=1", lambda: [random_keys()[0].astype(int)], TypeError, r"keys\[0\] has elements of int64"),
    ],
)
def test_what_cannot_be_is_refused(policy, keys, kind, sentence):
    with pytest.raises(kind, match=sentence):
        kvevict.plan_by_keys(kvevict.Policy(policy), keys())
