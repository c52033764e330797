"""Plans as pictures of matplotlib, in the colours of the ``kvevict`` program's."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from kvevict import Plan

__all__ = ["STRATEGY_COLOURS", "heatmap", "strategy_colour"]

# Okabe and Ito's palette (2008), which the colour-blind can tell apart, and greys.
KEPT = "#0072b2"
EVICTED = "#d0d0d0"
SINK = "#d55e00"
RECENT = "#009e73"

STRATEGY_COLOURS = {
    "full": "#6e6e6e",
    "sink_recent": "#e69f00",
    "sink_recent_uniform": "#0072b2",
    "streaming_llm": "#cc79a7",
    "ladder": "#009e73",
    "h2o": "#d55e00",
    "snapkv": "#56b4e9",
    "tova": "#8c510a",
    "keydiff": "#882255",
}
_OTHERS = ("#b8a900", "#5e3c99", "#1b1b1b")


def strategy_colour(strategy: str) -> str:
    """The colour of a strategy: the same as in the program's pictures.

    Parameters
    ----------
    strategy
        Its name, ``"sink_recent"``, or with values behind it.

    Returns
    -------
    str
        ``"#rrggbb"``.
    """
    name = strategy.partition(":")[0]
    if name in STRATEGY_COLOURS:
        return STRATEGY_COLOURS[name]
    number = 2166136261
    for byte in name.encode():
        number = (number ^ byte) * 16777619 % 4294967296
    return _OTHERS[number % len(_OTHERS)]


def _runs(ranges: list[tuple[int, int]]) -> list[tuple[float, float]]:
    return [(float(begin), float(end - begin)) for begin, end in ranges]


def heatmap(
    plan: Plan,
    n_layers: int | None = None,
    *,
    sink_tokens: int | None = None,
    recent_tokens: int | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draws which tokens a plan keeps: blue, by layer; grey is evicted.

    Parameters
    ----------
    plan
        A `kvevict.Plan`.
    n_layers
        Rows of the picture; None: those of the plan, or one for a plan that is the same for all layers.
    sink_tokens, recent_tokens
        Where dashed lines go, if they are given.
    ax
        Where to draw; None: a new figure.

    Returns
    -------
    matplotlib.axes.Axes
        For titles, sizes and `savefig` of its figure.
    """
    import matplotlib.pyplot as plt

    rows = n_layers if n_layers is not None else plan.n_layers
    if rows < 1:
        raise ValueError(f"n_layers is {rows}: a number from 1 on is needed")
    if plan.is_per_layer and plan.n_layers != rows:
        raise ValueError(f"{rows} layers are to be drawn, and the plan has {plan.n_layers}")
    if ax is None:
        _, ax = plt.subplots(figsize=(10, 1.2 + 0.16 * min(rows, 40)), layout="constrained")
    ax.broken_barh([(0, plan.n_tokens)], (0, rows), facecolor=EVICTED, label="evicted")
    height = 1.0 if rows == 1 or rows > 64 else 0.94
    bands = range(rows) if plan.is_per_layer else (0,)
    for layer in bands:
        band = (layer, height) if plan.is_per_layer else (0, rows)
        label = "kept" if layer == 0 else None
        ax.broken_barh(_runs(plan.layer(layer)), band, facecolor=KEPT, label=label)
    if sink_tokens:
        ax.axvline(sink_tokens, color=SINK, linestyle="--", label=f"sink boundary ({sink_tokens})")
    if recent_tokens:
        begin = plan.n_tokens - recent_tokens
        ax.axvline(begin, color=RECENT, linestyle="--", label=f"recent boundary ({begin})")
    ax.set_xlim(0, plan.n_tokens)
    ax.set_ylim(rows, 0)
    ax.set_xlabel("token")
    ax.set_ylabel("layer" if rows > 1 else "")
    if rows == 1:
        ax.set_yticks([])
    ax.set_title(f"{plan.n_kept:,} of {plan.n_tokens:,} tokens kept")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25), ncols=4, frameon=False)
    return ax
