r"""The language model evaluation harness (lm-eval 0.4.9 or newer) over an EvictingCache.

``python -m kvevict.lm_eval`` is the harness's own command with one more model, ``kvevict``::

    python -m kvevict.lm_eval --model kvevict --tasks lambada_openai \
        --model_args pretrained=HuggingFaceTB/SmolLM2-135M-Instruct,strategy=sink_recent:4:508,chunk=64

``model_args`` are those of the harness's model ``hf``, and ``strategy``, ``positions``, ``chunk`` and ``decode_slack``.
The text goes in by chunks, and each token's probability is the one that it has given what the cache then holds.
"""

from __future__ import annotations

from typing import Any

import torch
from lm_eval.api.registry import register_model  # type: ignore[import-untyped]
from lm_eval.models import huggingface  # type: ignore[import-untyped]

from kvevict.transformers import EvictingCache
from kvevict.transformers._model import cache_argument, logits_of

__all__ = ["EvictingLM"]
_HFLM: Any = huggingface.HFLM  # without types


@register_model("kvevict")
class EvictingLM(_HFLM):  # type: ignore[misc]
    """The harness's model for transformers, whose every text goes through an `EvictingCache`.

    Parameters
    ----------
    *args, **kwargs
        Of the harness's model ``hf``.
    strategy, positions, decode_slack
        As in `EvictingCache`.
    chunk
        Tokens of a text that go in at once, 1 or more.

    Raises
    ------
    ValueError
        As `EvictingCache` does, before anything runs.
    """

    def __init__(
        self,
        *args: Any,
        strategy: str,
        positions: str | None = None,
        chunk: int = 512,
        decode_slack: int = 64,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        if int(chunk) < 1:
            raise ValueError(f"chunk is {chunk}: a number of tokens from 1 on is needed")
        self._chunk = int(chunk)
        self._cache_settings: dict[str, Any] = {
            "strategy": strategy,
            "positions": positions,
            "decode_slack": int(decode_slack),
        }
        self._new_cache()  # refuses what cannot be right before anything runs

    def _new_cache(self) -> EvictingCache:
        return EvictingCache(self.model, **self._cache_settings)

    def _model_call(self, inps: torch.Tensor, attn_mask: Any = None, labels: Any = None) -> torch.Tensor:
        cache = self._new_cache()
        with torch.no_grad():
            parts = [logits_of(self.model, part, cache) for part in torch.split(inps, self._chunk, dim=1)]
        return torch.cat(parts, dim=1)

    def _model_generate(self, context: torch.Tensor, max_length: int, stop: list[str], **kwargs: Any) -> Any:
        kwargs[cache_argument(self.model)] = self._new_cache()
        return super()._model_generate(context, max_length, stop, **kwargs)


if __name__ == "__main__":
    from lm_eval.__main__ import cli_evaluate  # type: ignore[import-untyped]

    cli_evaluate()
