"""The rotary embedding of a model's keys."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True, kw_only=True)
class YarnConfig:
    """YaRN (Peng et al. 2023, arXiv 2309.00071, section 3.2).

    Attributes
    ----------
    n_ctx_orig
        Tokens that the model was first trained on.
    ext_factor
        Share of the mix between interpolation and extrapolation, 0 to 1.
    attn_factor
        Factor of the magnitude, beside YaRN's own.
    beta_fast, beta_slow
        Rotations within ``n_ctx_orig`` above which a pair is not interpolated, and below which it is fully.
    """

    n_ctx_orig: int
    ext_factor: float = 1.0
    attn_factor: float = 1.0
    beta_fast: float = 32.0
    beta_slow: float = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class RopeConfig:
    """The rotary embedding of a model's keys.

    The angle of pair i is ``position * base ** (-2 * i / n_rot) / freq_factors[i] * freq_scale``, and YaRN's mix of it.

    Attributes
    ----------
    base
        Above 1.
    n_rot
        Elements that rotate, even; 0: all of the head from ``first_dim`` on.
    pairing
        ``"neox"``: elements i and i + n_rot / 2, as Hugging Face stores Llama. ``"norm"``: 2 i and 2 i + 1.
    first_dim
        Where the rotated elements begin (MLA: behind the latent part).
    freq_scale
        Linear interpolation, 1 / factor.
    freq_factors
        Divisors of the frequencies, one for each pair; empty: all 1. `llama3_freq_factors` has Llama 3's.
    yarn
        None: no YaRN.
    """

    base: float = 10000.0
    n_rot: int = 0
    pairing: str = "neox"
    first_dim: int = 0
    freq_scale: float = 1.0
    freq_factors: Sequence[float] = ()
    yarn: YarnConfig | None = None
