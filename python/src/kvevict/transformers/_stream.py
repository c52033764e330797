"""When the layers of one cache evict, and to which tokens."""

from __future__ import annotations

import kvevict
from kvevict.transformers._ranges import Ranges


class Stream:
    """The plans of a policy for one sequence, in the order in which tokens come. All layers of a cache share it.

    Before ``n`` new tokens go in, the cache is cut down to the plan for the tokens seen so far: for several at once
    always, for one only if it holds more than ``budget + slack``. Not thread safe.
    """

    def __init__(self, policy: kvevict.Policy, n_layers: int, slack: int) -> None:
        self.policy = policy
        self.n_layers = n_layers
        self.slack = slack
        self.budget = _bound(policy, n_layers)
        self.reset()

    def reset(self) -> None:
        """Forgets the sequence."""
        self._sequence = kvevict.Sequence(self.policy, schedule="streaming", n_layers=self.n_layers)
        self._sets: dict[int, list[Ranges]] = {}

    @property
    def n_rows(self) -> int:
        """Rows that a layer needs room for between two calls."""
        return self.budget + self.slack + 1

    def keep_of(self, n_seen: int, number: int) -> Ranges:
        """The tokens that layer ``number`` keeps once ``n_seen`` have been seen."""
        if n_seen not in self._sets:
            plan = self._sequence.plan(n_seen)
            n_sets = self.n_layers if plan.is_per_layer else 1
            while len(self._sets) > 1:  # layers that are not yet done still need the one before
                del self._sets[min(self._sets)]
            self._sets[n_seen] = [tuple(plan.layer(i)) for i in range(n_sets)]
        sets = self._sets[n_seen]
        return sets[number if len(sets) > 1 else 0]

    def keep_before(self, n_seen: int, n_held: int, n_new: int, number: int) -> Ranges | None:
        """What is kept before ``n_new`` tokens go in; None: everything."""
        if n_held == 0 or (n_new == 1 and n_held <= self.budget + self.slack):
            return None
        return self.keep_of(n_seen, number)


def _bound(policy: kvevict.Policy, n_layers: int) -> int:
    budget = policy.budget(schedule="streaming", n_layers=n_layers)
    if budget is None:
        raise ValueError(f"{policy.strategy} has no bound while tokens stream in: an EvictingCache needs one")
    return budget
