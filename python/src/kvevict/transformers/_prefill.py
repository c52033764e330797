"""A prompt in chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from kvevict.transformers import _model

if TYPE_CHECKING:
    from transformers import PreTrainedModel
    from transformers.cache_utils import Cache


def prefill(model: PreTrainedModel, ids: torch.Tensor, cache: Cache, chunk: int = 512, **kwargs: Any) -> Any:
    """Puts the tokens of ``ids`` that ``cache`` has not seen into it, ``chunk`` at a time.

    With an EvictingCache no layer ever holds more than its budget, and attention sees no more than ``budget + chunk``
    tokens. To generate behind it, leave the last token to `generate`, which needs one::

        prefill(model, ids[:, :-1], cache)
        model.generate(ids, cache=cache)

    Parameters
    ----------
    model
        A model with a language head, or without.
    ids
        The whole text so far, ``[batch, n]``: of a second turn too.
    cache
        An EvictingCache, or any other.
    chunk
        Tokens of one forward, 1 or more.
    **kwargs
        Passed on to every forward.

    Returns
    -------
    ModelOutput
        Of the last chunk; logits of its last token alone where the model can be told so. None if nothing was new.
    """
    if ids.ndim != 2:
        raise ValueError(f"ids has the shape {list(ids.shape)}: [batch, tokens] is needed")
    if chunk < 1:
        raise ValueError(f"chunk is {chunk}: a number of tokens from 1 on is needed")
    n_seen = int(cache.get_seq_length())
    if n_seen > ids.shape[1]:
        raise ValueError(f"the cache has seen {n_seen} tokens, and ids has {ids.shape[1]}: the whole text is needed")
    if _model.takes(model, "logits_to_keep"):
        kwargs.setdefault("logits_to_keep", 1)
    output = None
    with torch.no_grad():
        for begin in range(n_seen, ids.shape[1], chunk):
            output = model(
                ids[:, begin : begin + chunk], use_cache=True, **{_model.cache_argument(model): cache}, **kwargs
            )
    return output
