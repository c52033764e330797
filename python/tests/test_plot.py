"""Pictures of plans."""

import pathlib
import re

import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

import kvevict  # noqa: E402
from kvevict import plot  # noqa: E402

SOURCE = pathlib.Path(__file__).resolve().parents[2] / "src"


def bars(axes, colour):
    """The bars of a colour, as (layer, begin, end)."""
    found = []
    for collection in axes.collections:
        if matplotlib.colors.to_hex(collection.get_facecolor()[0]) == colour:
            for path in collection.get_paths():
                box = path.get_extents()
                found.append((int(box.y0), int(box.x0), int(box.x1)))
    return sorted(found)


def test_kept_ranges_are_blue_over_all_layers():
    plan = kvevict.Policy("sink_recent_uniform:256:512:512").plan(4096)
    axes = plot.heatmap(plan, n_layers=8, sink_tokens=256, recent_tokens=512)
    assert bars(axes, plot.KEPT) == [(0, begin, end) for begin, end in plan.ranges]
    assert bars(axes, plot.EVICTED) == [(0, 0, 4096)]
    assert axes.get_title() == "1,280 of 4,096 tokens kept"
    assert sorted(line.get_xdata()[0] for line in axes.lines) == [256, 3584]


def test_layers_of_a_ladder_have_bars_of_their_own():
    plan = kvevict.Policy("ladder:1:2:3:span=1").plan(7, n_layers=3)
    axes = plot.heatmap(plan)
    assert bars(axes, plot.KEPT) == [(i, b, e) for i in range(3) for b, e in plan.layer(i)]
    with pytest.raises(ValueError, match="4 layers are to be drawn, and the plan has 3"):
        plot.heatmap(plan, n_layers=4)


def test_colours_are_the_programs():
    colours = (SOURCE / "plot" / "colours.h").read_text()
    for name, ours in (
        ("kKept", plot.KEPT),
        ("kEvicted", plot.EVICTED),
        ("kSink", plot.SINK),
        ("kRecent", plot.RECENT),
    ):
        assert re.search(rf"{name}Colour = 0x(\w+)", colours).group(1).lower() == ours[1:]
    policies = (SOURCE / "policy" / "policies.cc").read_text()
    theirs = re.findall(r'\.name = "(\w+)".*?\.colour = 0x(\w+)', policies, re.DOTALL)
    assert {name: "#" + colour.lower() for name, colour in theirs} == plot.STRATEGY_COLOURS
    assert plot.strategy_colour("sink_recent:4:60") == "#e69f00"
    assert plot.strategy_colour("mine") in ("#b8a900", "#5e3c99", "#1b1b1b")
