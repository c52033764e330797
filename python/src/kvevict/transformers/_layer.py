"""One attention layer whose rows follow a policy."""

from __future__ import annotations

from typing import Any

import torch
from transformers.cache_utils import DynamicLayer

from kvevict.transformers import _ranges
from kvevict.transformers._model import uncompiled
from kvevict.transformers._moves import gather_rows, keep_rows
from kvevict.transformers._ranges import Ranges
from kvevict.transformers._rotation import Rotation
from kvevict.transformers._stream import Stream

_NO_CROP = (
    "an EvictingCache cannot be cut back: tokens before the cut are gone. Assisted decoding needs a cache that can; "
    "to go back to an earlier point, keep a copy.deepcopy(cache) from there"
)


class _WithoutBackward(torch.autograd.Function):
    """What the cache holds, handed to attention while gradients are recorded."""

    @staticmethod
    def forward(ctx: Any, held: torch.Tensor, new: torch.Tensor) -> torch.Tensor:
        return held.view_as(held)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        raise RuntimeError(
            "gradients do not pass through an EvictingCache: its rows are kept without their history. "
            "Train with cache=None (use_cache=False)"
        )


class EvictingLayer(DynamicLayer):  # type: ignore[no-untyped-call]
    """The keys and values of one layer, ``[batch, kv_heads, rows, head_dim]``, kept to a policy's plan.

    Its length is that of the tokens *seen*; the mask is told of ``held + q`` columns from token ``seen - held`` on.
    Then masks and positions that transformers derives are right, as they are for its own layers with a sliding window.
    Not thread safe.
    """

    is_croppable = False
    is_compileable = False

    def __init__(self, stream: Stream, number: int, rotation: Rotation | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.stream = stream
        self.number = number  # among the layers that evict
        self.rotation = rotation  # None: keys stay as they are
        self._start()

    def _start(self) -> None:
        self.n_seen = 0
        self.tokens: Ranges = ()
        self.n_most = 0
        self.n_evictions = 0
        self._buffers: tuple[torch.Tensor, torch.Tensor] | None = None

    @property
    def n_held(self) -> int:
        """Rows that the layer holds."""
        return _ranges.count(self.tokens)

    @property
    def n_bytes(self) -> int:
        """Bytes that are allocated for the layer's rows."""
        return sum(b.numel() * b.element_size() for b in self._buffers or ())

    @uncompiled
    def n_held_before(self, n_new: int) -> int:
        """Rows that are left when ``n_new`` tokens come: what `update` is about to evict down to."""
        keep = self.stream.keep_before(self.n_seen, self.n_held, n_new, self.number)
        return self.n_held if keep is None else _ranges.count(_ranges.overlap(self.tokens, keep)[0])

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Allocates the rows; outside inference mode, so that they may be written in any mode later."""
        with torch.inference_mode(False), torch.no_grad():
            shapes = [(*s.shape[:-2], self.stream.n_rows, s.shape[-1]) for s in (key_states, value_states)]
            self._buffers = (
                torch.empty(shapes[0], dtype=key_states.dtype, device=key_states.device),
                torch.empty(shapes[1], dtype=value_states.dtype, device=value_states.device),
            )
        self.device = key_states.device
        self.is_initialized = True
        self._show_rows()

    def _rows(self) -> tuple[torch.Tensor, torch.Tensor]:
        assert self._buffers is not None
        return self._buffers[0][..., : self.n_held, :], self._buffers[1][..., : self.n_held, :]

    def _show_rows(self) -> None:
        if self._buffers is not None:
            self.keys, self.values = self._rows()

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Evicts down to the plan for the tokens seen, appends the new ones, and gives what attention is to see.

        Parameters
        ----------
        key_states, value_states
            ``[batch, kv_heads, q, head_dim]``; K and V may have other sizes of a head.

        Returns
        -------
        tuple
            Keys and values ``[batch, kv_heads, held + q, head_dim]``: the cache's own memory, valid until the next
            call, or, if there is no room for so many, a copy of which the cache stores only what it keeps.
        """
        with torch.no_grad():
            keys, values = self._update(key_states.detach(), value_states.detach())
        if torch.is_grad_enabled() and (key_states.requires_grad or value_states.requires_grad):
            return _WithoutBackward.apply(keys, key_states), _WithoutBackward.apply(values, value_states)
        return keys, values

    @uncompiled
    def _update(self, key_states: torch.Tensor, value_states: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        if self._buffers is None:
            self.lazy_initialization(key_states, value_states)
        assert self._buffers is not None
        n_new = key_states.shape[-2]
        self._evict(self.stream.keep_before(self.n_seen, self.n_held, n_new, self.number))
        n_before = self.n_held
        self.tokens = _ranges.append(self.tokens, self.n_seen, self.n_seen + n_new)
        self.n_seen += n_new
        self.n_most = max(self.n_most, n_before + n_new)
        if n_before + n_new <= self.stream.n_rows:
            for buffer, new in zip(self._buffers, (key_states, value_states), strict=True):
                buffer[..., n_before : n_before + n_new, :] = new
            self._show_rows()
            return self._rows()
        seen_by_attention = [
            torch.cat([buffer[..., :n_before, :], new], dim=-2)
            for buffer, new in zip(self._buffers, (key_states, value_states), strict=True)
        ]
        self._store(seen_by_attention)
        return seen_by_attention[0], seen_by_attention[1]

    def _store(self, rows_of_all: list[torch.Tensor]) -> None:
        """Stores what the plan keeps of more rows than there is room for: the next `update` would evict the rest."""
        assert self._buffers is not None
        tokens, rows = _ranges.overlap(self.tokens, self.stream.keep_of(self.n_seen, self.number))
        for buffer, source in zip(self._buffers, rows_of_all, strict=True):
            gather_rows(buffer, source, rows)
        self._kept(tokens, rows)

    def _evict(self, keep: Ranges | None) -> None:
        if keep is None or self._buffers is None:
            return
        tokens, rows = _ranges.overlap(self.tokens, keep)
        if tokens == self.tokens:
            return
        keep_rows(*self._buffers, self.n_held, rows)
        self._kept(tokens, rows)

    def _kept(self, tokens: Ranges, rows: Ranges) -> None:
        self.tokens = tokens
        self.n_evictions += 1
        if self.rotation is not None and self._buffers is not None:
            self.rotation.turn(self._buffers[self.rotation.tensor][..., : self.n_held, :], rows)
        self._show_rows()

    def get_seq_length(self) -> int:
        """Tokens *seen*: the position of the next one where positions are absolute."""
        return self.n_seen

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        """Columns of the mask, and the token that the first of them stands for."""
        n_held = self.n_held_before(query_length)
        return n_held + query_length, self.n_seen - n_held

    def reset(self) -> None:
        """Forgets every token, and gives the memory back."""
        self.keys = self.values = None
        self.is_initialized = False
        self._start()

    def crop(self, tokens_to_remove: int) -> None:
        """Refused: what was before the cut is gone."""
        if tokens_to_remove != 0:
            raise ValueError(_NO_CROP)

    def reorder_cache(self, beam_idx: torch.LongTensor) -> None:
        """Sequence i becomes what sequence ``beam_idx[i]`` was."""
        self._change_batch(lambda b: b.index_select(0, beam_idx.to(b.device)))

    def batch_repeat_interleave(self, repeats: int) -> None:
        """Each sequence ``repeats`` times."""
        self._change_batch(lambda b: b.repeat_interleave(repeats, dim=0))

    def batch_select_indices(self, indices: torch.Tensor) -> None:
        """Keeps the sequences of these numbers."""
        self._change_batch(lambda b: b[indices.to(b.device)])

    def offload(self) -> None:
        """Moves the rows into host memory."""
        self._change_batch(lambda b: b.to("cpu"))

    def prefetch(self) -> None:
        """Moves the rows back to the layer's device."""
        self._change_batch(lambda b: b.to(self.device))

    def _change_batch(self, change: Any) -> None:
        if self._buffers is None:
            return
        with torch.inference_mode(False), torch.no_grad():
            self._buffers = (change(self._buffers[0]), change(self._buffers[1]))
        self._show_rows()
