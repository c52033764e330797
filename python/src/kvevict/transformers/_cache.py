"""A cache for transformers' models that never holds more than a policy's budget."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
import torch
from transformers.cache_utils import CacheLayerMixin, DynamicCache, DynamicLayer, DynamicSlidingWindowLayer

import kvevict
from kvevict.transformers import _guard, _model
from kvevict.transformers._layer import EvictingLayer
from kvevict.transformers._ranges import to_indices
from kvevict.transformers._rotation import learn_rotations
from kvevict.transformers._stream import Stream

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

Positions = Literal["absolute", "packed"]


@dataclasses.dataclass(frozen=True)
class CacheReport:
    """What a cache has done and holds. Counts are tokens per layer, bytes are over all layers that evict.

    Attributes
    ----------
    strategy, positions
        As the cache was made with.
    n_layers
        Layers that evict; all of the model's if the strategy keeps everything.
    n_seen, n_held
        Tokens that went in, and that a layer holds.
    n_most
        Most rows that a layer's attention has seen at once.
    n_evictions
        Times that a layer dropped tokens.
    bytes_allocated
        Memory of K and V.
    bytes_unbounded
        What K and V of all tokens seen would take.
    """

    strategy: str
    positions: str
    n_layers: int
    n_seen: int
    n_held: int
    n_most: int
    n_evictions: int
    bytes_allocated: int
    bytes_unbounded: int

    def __str__(self) -> str:
        mib = 1024 * 1024
        return (
            f"{self.strategy}, {self.positions} positions, {self.n_layers} layers: "
            f"{self.n_held} of {self.n_seen} tokens held ({self.n_most} at most), {self.n_evictions} evictions, "
            f"{self.bytes_allocated / mib:.1f} MiB where all tokens take {self.bytes_unbounded / mib:.1f}"
        )


class EvictingCache(DynamicCache):
    """A cache for `model(...)` and `generate` whose full-attention layers are kept to a policy's budget.

    Layers with a sliding window, recurrent states and layers that share another's keys stay what transformers makes of
    them. Pass it as ``cache=`` (before transformers 5.24: ``past_key_values=``). One text, one cache: start the next
    with a new one, or with `reset`. ``copy.deepcopy`` keeps a point to go back to. Not thread safe.

    Parameters
    ----------
    model
        The model that the cache is for; a hook on its base model checks every call that brings an EvictingCache.
    strategy
        A strategy text (``"sink_recent:256:512"``) or a `kvevict.Policy`: one that goes by position, or a ladder.
    positions
        ``"absolute"``: kept tokens stay at the positions where they were first seen. ``"packed"``: they take 0 … n - 1,
        keys are rotated anew as rows move (StreamingLLM, arXiv 2309.17453, section 3.2). None: what the strategy is
        defined by.
    decode_slack
        While single tokens come, rows by which a layer may outgrow the budget between two evictions.

    Raises
    ------
    ValueError
        For a model or a strategy that such a cache cannot be right for; the sentence says why.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        strategy: str | kvevict.Policy,
        positions: Positions | None = None,
        decode_slack: int = 64,
    ) -> None:
        policy = strategy if isinstance(strategy, kvevict.Policy) else kvevict.Policy(strategy)
        if decode_slack < 0:
            raise ValueError(f"decode_slack is {decode_slack}: a number of tokens from 0 on is needed")
        _model.require_transformers()
        super().__init__(config=model.config)
        _require_no_alibi(model.config, type(model).__name__)
        self.positions = _positions(policy, positions)
        _require_known_beforehand(policy)
        numbers = [] if policy.keeps_all else _evictable(self, type(model).__name__)
        self._stream = Stream(policy, len(numbers), decode_slack) if numbers else None
        if self.positions == "packed":
            _require_packable(self, type(model).__name__)
        rotations = learn_rotations(model, numbers) if self.positions == "packed" else [None] * len(numbers)
        for i, (number, rotation) in enumerate(zip(numbers, rotations, strict=True)):
            assert self._stream is not None
            self.layers[number] = EvictingLayer(self._stream, i, rotation)
        self.policy = policy
        self._expected: tuple[int, int] | None = None
        self.attach(model)

    def attach(self, model: PreTrainedModel) -> None:
        """Makes another copy of the model ready for this cache: one that was loaded beside a cache that was saved.

        Parameters
        ----------
        model
            Of the same weights as the model that the cache was made for.
        """
        _guard.attach(model)

    def _evicting(self) -> list[EvictingLayer]:
        return [layer for layer in self.layers if isinstance(layer, EvictingLayer)]

    @property
    def seen(self) -> int:
        """Tokens that went in."""
        return int(self.get_seq_length())

    @property
    def peak(self) -> int:
        """Most rows that a layer's attention has seen at once."""
        return max((layer.n_most for layer in self._evicting()), default=self.seen)

    def held(self) -> int:
        """Tokens that a layer holds."""
        return max((layer.n_held for layer in self._evicting()), default=self.seen)

    def kept(self, layer: int) -> npt.NDArray[np.int64]:
        """The tokens that a layer holds.

        Parameters
        ----------
        layer
            Its number in the model, from 0 on.

        Returns
        -------
        numpy.ndarray
            Numbered from the first token that went in, ascending, int64, shape ``[held]``.

        Raises
        ------
        IndexError
            There is no such layer.
        ValueError
            A layer that this cache leaves to transformers.
        """
        if not 0 <= layer < len(self.layers):
            raise IndexError(f"there is no layer {layer}: the model has {len(self.layers)}, counted from 0")
        chosen = self.layers[layer]
        if type(chosen) is DynamicLayer:  # nothing is evicted
            return np.arange(self.seen)
        if not isinstance(chosen, EvictingLayer):
            raise ValueError(
                f"layer {layer} is a {type(chosen).__name__}, which this cache leaves to transformers: "
                f"the layers that it evicts are {self.evicting_layers}"
            )
        return to_indices(chosen.tokens)

    @property
    def evicting_layers(self) -> list[int]:
        """The numbers of the layers that evict."""
        return [i for i, layer in enumerate(self.layers) if isinstance(layer, EvictingLayer)]

    def report(self) -> CacheReport:
        """What the cache has done and holds."""
        layers = self._evicting()
        return CacheReport(
            strategy=self.policy.strategy,
            positions=self.positions,
            n_layers=len(layers) or len(self.layers),
            n_seen=self.seen,
            n_held=self.held(),
            n_most=self.peak,
            n_evictions=max((layer.n_evictions for layer in layers), default=0),
            bytes_allocated=sum(layer.n_bytes for layer in layers) or _row_bytes(self) * self.seen,
            bytes_unbounded=_row_bytes(self) * self.seen,
        )

    def expect(self, n_new: int) -> int:
        """Notes that a forward of ``n_new`` tokens begins (the model's hook does); the packed position of the first."""
        layers = self._evicting()
        self._expected = (self.seen, n_new)
        return layers[0].n_held_before(n_new) if layers else self.seen

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, layer_idx: int, *args: object, **kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """As transformers' own: appends to a layer, and gives the keys and values that attention sees."""
        layer = self.layers[layer_idx]
        is_told = not isinstance(layer, EvictingLayer) or self._expected == (layer.n_seen, key_states.shape[-2])
        if self.positions == "packed" and not is_told:
            raise RuntimeError(
                "this cache packs positions, and the model was not told of them: call cache.attach(model) once for a "
                "model that the cache was not made for, and pass the cache to its forward"
            )
        return super().update(key_states, value_states, layer_idx, *args, **kwargs)

    def reset(self) -> None:
        """Forgets every token; the cache is as new."""
        super().reset()  # type: ignore[no-untyped-call]
        if self._stream is not None:
            self._stream.reset()


def _row_bytes(cache: EvictingCache) -> int:
    """Bytes of one token in all layers that keep tokens without a window."""
    total = 0
    for layer in cache.layers:
        if isinstance(layer, DynamicLayer) and not layer.is_sliding:
            for rows in (layer.keys, layer.values):
                total += 0 if rows is None else rows.element_size() * rows[..., :1, :].numel()
    return total


def _positions(policy: kvevict.Policy, asked: str | None) -> Positions:
    if asked not in (None, "absolute", "packed"):
        raise ValueError(f"positions is {asked!r}: 'absolute' or 'packed' is needed")
    required = policy.required_positions
    if required is not None and asked not in (None, required):
        raise ValueError(
            f"{policy.strategy} is defined by {required} positions: leave positions out, or say {required!r}"
        )
    return "packed" if (asked or required) == "packed" else "absolute"


def _require_known_beforehand(policy: kvevict.Policy) -> None:
    if policy.looks_into_cache:
        raise ValueError(
            f"{policy.strategy} chooses by attention or keys: an EvictingCache takes strategies that go by position "
            "(sink_recent, sink_recent_uniform, streaming_llm, full) and ladder"
        )


def _require_no_alibi(config: PreTrainedConfig, name: str) -> None:
    inner = config.get_text_config(decoder=True)
    attention = getattr(inner, "attn_config", None)
    has_alibi = (
        inner.model_type == "bloom"
        or getattr(inner, "alibi", False)
        or getattr(inner, "use_alibi", False)
        or getattr(attention, "alibi", False)
    )
    if has_alibi:
        raise ValueError(
            f"{name} has ALiBi, whose biases count the rows of the cache and not the tokens: "
            "an EvictingCache would be wrong"
        )


def _require_packable(cache: DynamicCache, name: str) -> None:
    windows = [i for i, layer in enumerate(cache.layers) if isinstance(layer, DynamicSlidingWindowLayer)]
    if windows:
        raise ValueError(
            f"positions='packed' cannot be had with {name}: its layers {windows} have a sliding window, whose keys "
            "stay at the positions where they were first seen. Use positions='absolute'"
        )


def _evictable(cache: DynamicCache, name: str) -> list[int]:
    """The layers that can evict; transformers has chosen the others' own kinds. Refuses what would be wrong."""
    others = {type(layer).__name__ for layer in cache.layers}
    for layer in cache.layers:
        if type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) or not isinstance(layer, CacheLayerMixin):
            continue
        raise ValueError(
            f"{name} has a {type(layer).__name__} in its cache, which keeps more than keys and values of tokens: "
            "rows cannot be evicted from it"
        )
    if not any(isinstance(layer, CacheLayerMixin) for layer in cache.layers):
        raise ValueError(
            f"{name} has no attention layers, only {', '.join(sorted(others)) or 'none'}: there is nothing to evict. "
            "Its memory is fixed already"
        )
    return [i for i, layer in enumerate(cache.layers) if type(layer) is DynamicLayer]
