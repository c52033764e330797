"""docs/models.md from the table of architectures: what scripts/check_architectures.py --write puts there."""

from collections.abc import Iterator
from typing import Any

Row = dict[str, Any]

# name in the table -> heading, meaning
COLUMNS = {
    "full": ("full", "everything stays: prompt and answer, token by token, give the logits of a plain decode"),
    "one_shot": ("one-shot", ("a whole prompt, then one eviction (`evict`): the logits are those of llama.cpp without the cells of "
                             "the same tokens; absolute positions")),
    "bounded": ("bounded", ("`--prefill bounded` with absolute positions: a text through a cache that is smaller than it, with the "
                           "same cells taken away before each chunk")),
    "packed": ("packed", ("positions packed after an eviction, once and before each chunk, against llama.cpp's own shift of the same "
                         "cells; and, since that shift is wrong for some models, the keys of the first layer against those of the same "
                         "tokens decoded where they moved to, and that nothing changes if everything kept moves by as much")),
    "ladder": ("ladder", ("other tokens in each layer: each layer holds the K and V rows of its plan bit for bit, and a plan that "
                         "names the same tokens for each layer gives the logits of llama.cpp without the others")),
    "scores": ("scores", ("H2O and TOVA: the scores are the column sums of llama.cpp's own attention, and what is kept gives its logits "
                         "without the others")),
    "keys": ("keys", ("keydiff: the keys of the first layer, without the rotation of their positions, are the same wherever a token "
                     "stands, and what is kept gives llama.cpp's logits without the others")),
    "fork": ("fork", "two sessions go on from one prompt, each with the logits that it has alone"),
    "saved": ("saved", "a session that is saved and restored goes on with the same logits, before an eviction and after one"),
    "pool": ("pool", "three sessions of a pool, decoded in one batch, one of them evicted and moved to another place, with the logits of each alone"),
}

KINDS = (
    ("attention", "K and V of each token in each layer: any token can go."),
    ("latent (MLA)", "one compressed row of each token in the place of K and V (DeepSeek 2 and its descendants)."),
    ("indexed", "a second, small key of each token chooses which tokens a query looks at. It goes with its token."),
    ("sliding window", "some layers see only the newest tokens, and are held at that window; the others keep what the strategy keeps."),
    ("hybrid", ("some layers have attention, the others a state that has read every token. Evicting takes tokens from the "
               "layers with attention; the state still knows of them.")),
    ("recurrent", "a state alone: there is nothing to evict."),
    ("none", "diffusion models compute a whole text at once, without a cache."),
)

POSITIONS = (
    ("rotary", "keys are rotated by their position, and can be rotated on."),
    ("M-RoPE", "several rotations for each token (time, height, width)."),
    ("ALiBi", "the distance is in the attention, keys are as they are."),
    ("none rotated", "positions are learned, or there are none."),
)


def reasons_of(rows: list[Row]) -> dict[str, int]:
    """Each reason, or what is wrong, with its number: as `kvevict models --architectures` numbers them."""
    numbers: dict[str, int] = {}
    for row in rows:
        for column in COLUMNS:
            if row[column] != "yes":
                numbers.setdefault(row[column], len(numbers) + 1)
    return numbers


def cells(row: Row, reasons: dict[str, int]) -> str:
    return " | ".join("yes" if row[c] == "yes" else f"{row[c].split(':')[0]} {reasons[row[c]]}" for c in COLUMNS)


def head(*first: str) -> Iterator[str]:
    yield f"| {' | '.join(first)} | {' | '.join(heading for heading, _ in COLUMNS.values())} |"
    yield "|" + "---|" * (len(first) + len(COLUMNS))


def by_kind(rows: list[Row], reasons: dict[str, int]) -> Iterator[str]:
    kinds: dict[tuple[str, str, str], int] = {}
    for row in rows:
        kind = (row["memory"], row["positions"], cells(row, reasons))
        kinds[kind] = kinds.get(kind, 0) + 1
    yield from head("memory", "positions", "architectures")
    for (memory, positions, verdicts), n in sorted(kinds.items()):
        yield f"| {memory} | {positions} | {n} | {verdicts} |"


def sentence(reason: str) -> str:
    word, _, rest = reason.partition(": ")
    return (rest[0].upper() + rest[1:] if word == "no" else f"**Wrong**: {rest}") + "."


def page(table: dict[str, Any]) -> str:
    rows: list[Row] = table["architectures"]
    reasons = reasons_of(rows)
    lines = [
        "# Which models",
        "",
        (f"What works with which architecture of llama.cpp, from real runs: `{table['made_by']}` makes a tiny model with random weights of "
        f"each architecture ({len(rows)} models, by llama.cpp's own `tests/test-llama-archs.cpp`), uses it in each of the ways below, and writes this page. "
        f"`kvevict models --architectures` prints the same table. llama.cpp is that of {table['llama_cpp']}."),
        "",
        ("**yes** is a comparison of numbers: the logits are those of llama.cpp's own calls with the same tokens taken away, within 1e-4 of "
        "the largest logit (f32, no flash attention). **no** is a refusal with a sentence; its number is "
        "that of the reason below."),
        "",
        "## What a model keeps of a text",
        "",
        *(f"- **{name}**: {words}" for name, words in KINDS),
        "",
        "And how it knows where a token is:",
        "",
        *(f"- **{name}**: {words}" for name, words in POSITIONS),
        "",
        "## What the columns mean",
        "",
        *(f"- **{heading}**: {meaning}." for heading, meaning in COLUMNS.values()),
        "",
        "## By kind of memory",
        "",
        *by_kind(rows, reasons),
        "",
        "## Why not",
        "",
        *(f"{number}. {sentence(reason)}" for reason, number in reasons.items()),
        "",
        "## What this does not show",
        "",
        ("The models are random and mostly two layers deep: they show that the mechanism is exact, not what a strategy costs in "
        "answers. Indexers choose all tokens (llama.cpp's fixture sets them so), windows are 32 tokens, everything runs on the CPU. "
        "llama.cpp's own test leaves out encoders, RWKV and a few architectures that it has no fixture for."),
        "",
        "## All architectures",
        "",
        ("Difference: the largest of all comparisons, relative to the largest logit. Effect: by how much the eviction of the column "
        "one-shot changes llama.cpp's own logits, so that a comparison could see a mistake. Both come from the CPU that made the page."),
        "",
        *head("architecture", "memory", "positions"),
    ]
    lines[-2] = lines[-2].removesuffix(" |") + " | difference | effect |"
    lines[-1] += "---:|---:|"
    for row in sorted(rows, key=lambda row: str(row["name"])):
        figures = [f"{row[key]:.0e}" if row[key] else "–" for key in ("largest_difference", "effect")]
        lines.append(f"| {row['name']} | {row['memory']} | {row['positions']} | {cells(row, reasons)} | {' | '.join(figures)} |")
    return "\n".join(lines) + "\n"
