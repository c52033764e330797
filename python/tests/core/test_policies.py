"""Plans: `Policy`, `Plan`, `Sequence`."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import kvevict

MIDPOINTS = [(0, 256), (640, 768), (1408, 1536), (2304, 2432), (3072, 3200), (3584, 4096)]
BY_POSITION = ["full", "sink_recent:3:9", "sink_recent_uniform:3:9:16:block=4", "streaming_llm:2:10"]


def test_plan_says_which_tokens_stay():
    plan = kvevict.Policy("sink_recent_uniform:256:512:512").plan(4096)
    assert plan.ranges == MIDPOINTS
    assert plan.n_kept == 1280
    assert plan.n_tokens == 4096
    indices = plan.to_indices()
    assert indices.dtype == np.int64
    assert indices.tolist() == [i for begin, end in MIDPOINTS for i in range(begin, end)]
    mask = plan.to_mask()
    assert mask.dtype == np.bool_
    assert mask.shape == (4096,)
    assert np.flatnonzero(mask).tolist() == indices.tolist()


def test_ends_gives_the_sets_of_the_demos_code():
    plan = kvevict.Policy("sink_recent_uniform:256:512:512:spacing=ends").plan(4096)
    assert plan.ranges == [(0, 384), (1280, 1408), (2304, 2432), (3456, 4096)]


def test_a_ladder_has_a_set_for_each_layer():
    plan = kvevict.Policy("ladder:1:2:3:span=1").plan(7, n_layers=3)  # worked in docs/strategies.md
    assert plan.is_per_layer
    assert [plan.layer(i) for i in range(3)] == [[(0, 2), (4, 7)], [(0, 1), (2, 3), (4, 7)], [(0, 1), (3, 7)]]
    assert plan.to_indices(1).tolist() == [0, 2, 4, 5, 6]
    assert plan.to_mask(2).tolist() == [True, False, False, True, True, True, True]
    with pytest.raises(ValueError, match="differs by layer: name one of its 3"):
        _ = plan.ranges
    with pytest.raises(IndexError, match="no layer 3"):
        plan.layer(3)


@pytest.mark.parametrize("strategy", BY_POSITION)
@given(n=st.integers(0, 300))
def test_streaming_plans_are_nested_and_within_their_budget(strategy, n):
    policy = kvevict.Policy(strategy)
    smaller, larger = (set(policy.plan(i, schedule="streaming").to_indices()) for i in (n, n + 7))
    assert {i for i in larger if i < n} <= smaller
    budget = policy.budget(schedule="streaming")
    assert budget is None or len(larger) <= budget


def test_budget_is_what_plans_never_go_beyond():
    assert kvevict.Policy("sink_recent:4:60").budget() == 64
    assert kvevict.Policy("sink_recent_uniform:4:60:64").budget(schedule="streaming") == 128
    assert kvevict.Policy("full").budget() is None


def test_a_policy_says_what_it_is():
    policy = kvevict.Policy("sink_recent_uniform:4:5:6:spacing=ends")
    assert policy.strategy == str(policy) == "sink_recent_uniform:4:5:6:spacing=ends"
    assert repr(policy) == 'Policy("sink_recent_uniform:4:5:6:spacing=ends")'
    assert policy.values == {"sink": 4, "recent": 5, "budget": 6, "stride": 0, "block": 128, "spacing": "ends"}
    in_files = {"sink_tokens": 4, "recent_tokens": 5, "middle_budget_tokens": 6, "uniform_stride": 0, "block_n": 128}
    assert policy.result_values == in_files | {"spacing": 1}
    assert kvevict.Policy("sink_recent_uniform:4:5:6").result_values == in_files
    assert policy.n_newest_kept == 5
    assert policy.required_positions is None
    assert kvevict.Policy("streaming_llm").required_positions == "packed"
    assert kvevict.Policy("h2o").looks_into_cache


def test_policies_lists_every_strategy_and_each_can_be_made():
    lines = kvevict.policies()
    assert list(lines)[:3] == ["full", "sink_recent", "sink_recent_uniform"]
    for name in lines:
        assert kvevict.Policy(name).name == name


@pytest.mark.parametrize("name", list(kvevict.policies()))
def test_policies_are_values(name):
    policy = kvevict.Policy(name)
    for twin in (copy.copy(policy), copy.deepcopy(policy), pickle.loads(pickle.dumps(policy))):
        assert twin == policy
        assert hash(twin) == hash(policy)
    assert policy != kvevict.Policy("sink_recent:1:1")
    assert policy != name


@pytest.mark.parametrize("strategy", ["sink_recent:2:5", "ladder:1:2:4:span=1"])
def test_plans_are_values(strategy):
    plan = kvevict.Policy(strategy).plan(40, n_layers=3)
    twin = pickle.loads(pickle.dumps(plan))
    assert twin == copy.deepcopy(plan) == plan
    assert hash(twin) == hash(plan)
    assert plan != kvevict.Policy(strategy).plan(41, n_layers=3)


@pytest.mark.parametrize(
    ("strategy", "schedule"), [("ladder:2:4:8", "streaming"), ("sink_recent_uniform:2:4:8:block=2", "one_shot")]
)
def test_a_copied_sequence_goes_on_alike_and_by_itself(strategy, schedule):
    sequence = kvevict.Sequence(kvevict.Policy(strategy), schedule=schedule, n_layers=4)
    for n in range(0, 90, 10):
        sequence.plan(n)
    for twin in (copy.deepcopy(sequence), pickle.loads(pickle.dumps(sequence))):
        twin.plan(200)  # leaves the first alone
        assert twin.policy == sequence.policy
    twin = pickle.loads(pickle.dumps(sequence))
    assert [twin.plan(n) for n in (90, 130)] == [sequence.plan(n) for n in (90, 130)]


def test_a_sequence_asks_for_nothing_that_is_gone():
    sequence = kvevict.Sequence(kvevict.Policy("ladder:2:4:8"), n_layers=4)
    held = [set() for _ in range(4)]
    for n in range(0, 200, 9):
        plan = sequence.plan(n)
        for layer, tokens in enumerate(held):
            kept = set(plan.to_indices(layer).tolist())
            assert {i for i in kept if i < n - 9} <= tokens
            held[layer] = kept


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: kvevict.Policy("sink_resent"), '"sink_resent".*known are full'),
        (lambda: kvevict.Policy("sink_recent:0:0"), "recent_tokens is 0"),
        (lambda: kvevict.Policy("sink_recent").plan(-1), "n_tokens_seen is -1"),
        (lambda: kvevict.Policy("sink_recent").plan(5, schedule="once"), '"once".*"one_shot" or "streaming"'),
        (lambda: kvevict.Policy("sink_recent").plan(5, n_layers=0), "n_layers is 0"),
        (lambda: kvevict.Policy("sink_recent_uniform:stride=2").plan(9, schedule="streaming"), "stride"),
        (
            lambda: kvevict.Policy("sink_recent_uniform:1:1:4:spacing=ends").plan(9, schedule="streaming"),
            "spacing=ends",
        ),
        (lambda: kvevict.Policy("h2o").plan(4096), "h2o chooses by a model's attention"),
        (lambda: kvevict.Policy("keydiff").plan(4096), "keydiff chooses by"),
    ],
)
def test_what_cannot_be_is_refused_by_a_sentence(make, sentence):
    with pytest.raises(ValueError, match=sentence):
        make()
