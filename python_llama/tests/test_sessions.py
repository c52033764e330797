"""Sessions: eviction, answers, forks, files."""

import os
import pathlib
import subprocess

import kvevict
import numpy as np
import pytest
from kvevict.llama import Model, Session

ROOT = pathlib.Path(__file__).parents[2]
PROGRAM = pathlib.Path(os.environ.get("KVEVICT_PROGRAM") or ROOT / "build/release/bin/kvevict")
PROMPT = "The lighthouse keeper climbed the stairs, lit the lamp and"
LONG = " ".join(f"On day {day} the ship sailed {day * 7} miles to the north." for day in range(30))


def prefilled(model: Model, strategy: str = "sink_recent:4:60", **options) -> Session:
    session = model.session(strategy, threads=1, **options)
    session.append(LONG)
    return session


def test_a_stream_stays_within_its_budget(model):
    session = prefilled(model, chunk=32)
    n = len(model.tokenize(LONG))
    assert session.seen == n
    assert 64 < session.held <= session.stats.n_tokens_held_peak <= 64 + 32  # it evicts before a chunk
    session.evict()
    assert session.held == 64
    kept = session.kept()
    assert kept == session.kept(29) == [(0, 4), (n - 60, n)]
    assert (session.prefill, session.positions, session.strategy) == ("bounded", "auto", "sink_recent:4:60")


def test_a_full_prefill_is_evicted_once(model):
    session = prefilled(model, kvevict.Policy("sink_recent:4:60"), prefill="full")
    assert session.held == session.seen
    assert session.evict() == session.seen - 64
    assert session.kept() == [(0, 4), (session.seen - 60, session.seen)]


def test_pieces_join_to_the_whole(model):
    answer = model.session(threads=1).generate(PROMPT, max_tokens=24)
    assert answer.end is None
    pieces = list(answer)
    assert len(pieces) > 12
    assert all(pieces)
    assert answer.end == "length"
    assert answer.text() == "".join(pieces)
    assert len(answer.tokens) == 24
    assert model.detokenize(answer.tokens) == answer.text()


@pytest.mark.parametrize("prefill", ["full", "bounded"])
def test_answers_are_those_of_the_program(model, model_file, prefill):
    if not PROGRAM.is_file():
        pytest.skip(f"{PROGRAM} is not built")
    flags = {
        "model": model_file,
        "strategy": "sink_recent:4:60",
        "prefill": prefill,
        "max_new_tokens": 48,
        "threads": 1,
    }
    given = [word for name, value in flags.items() for word in (f"--{name}", str(value))]
    ran = subprocess.run(
        [PROGRAM, "generate", *given, "--temperature", "0", "--prompt", LONG],
        capture_output=True,
        check=True,
        text=True,
    )
    session = model.session("sink_recent:4:60", prefill=prefill, threads=1)
    assert session.generate(LONG, max_tokens=48).text() == ran.stdout.removesuffix("\n")


def test_an_answer_goes_on_where_it_ended(model):
    whole = model.session(threads=1).generate(PROMPT, max_tokens=20)
    session = model.session(threads=1)
    first = session.generate(PROMPT, max_tokens=9)
    first.text()
    rest = session.generate(max_tokens=11)
    whole.text(), rest.text()
    assert first.tokens + rest.tokens == whole.tokens
    assert session.seen == len(model.tokenize(PROMPT)) + 19  # the last one goes in with the next call
    session.append("")
    assert session.seen == len(model.tokenize(PROMPT)) + 20


def test_an_answer_left_half_way_is_in_the_cache(model):
    session = model.session(threads=1)
    taken = []
    for piece in session.generate(PROMPT, max_tokens=1000):
        taken.append(piece)
        if len(taken) == 3:
            break
    session.append("!")
    assert session.seen > len(model.tokenize(PROMPT)) + 3


def test_the_next_change_ends_an_answer(model):
    session = model.session(threads=1)
    answer = session.generate(PROMPT, max_tokens=1000)
    first = next(answer)
    session.append("!")
    assert answer.end == "stopped"
    assert list(answer) == []
    assert answer.text() == first


def test_the_seed_decides_what_is_drawn(model):
    def drawn(seed: int) -> str:
        return model.session(threads=1).generate(PROMPT, max_tokens=16, temperature=1.5, seed=seed).text()

    assert drawn(7) == drawn(7)
    assert len({drawn(seed) for seed in range(3)}) > 1


def test_a_text_of_stop_ends_an_answer_where_it_begins(model):
    whole = model.session(threads=1).generate(PROMPT, max_tokens=24).text()
    stop = whole[10:14]
    answer = model.session(threads=1).generate(PROMPT, max_tokens=24, stop=[stop])
    assert "".join(answer) == whole[: whole.index(stop)]
    assert answer.end == "model"


def test_a_grammar_is_the_form_of_an_answer(model):
    answer = model.session(threads=1).generate(PROMPT, grammar='root ::= " yes" | " no"')
    assert answer.text() in (" yes", " no")


def test_a_fork_goes_on_by_itself(model):
    session = prefilled(model, n_sequences=2)
    before, n = session.logits, session.seen
    other = session.fork()
    theirs = other.generate(max_tokens=8)
    theirs.text()
    assert session.seen == n < other.seen
    assert np.array_equal(session.logits, before)
    ours = session.generate(max_tokens=1)  # later tokens lie in other cells than theirs: sums may round otherwise
    ours.text()
    assert ours.tokens == theirs.tokens[:1]
    with pytest.raises(ValueError, match="2"):
        session.fork()
    del other, theirs  # an answer holds its session
    by_strategy = session.fork("sink_recent:4:20")
    by_strategy.detach()
    by_strategy.append("A", parse_special=True)
    by_strategy.evict()
    assert by_strategy.held <= 24 < session.held


def test_a_saved_session_goes_on(model, tmp_path):
    session = prefilled(model)
    session.save(tmp_path / "session")
    loaded = model.load_session(tmp_path / "session", threads=1)
    assert (loaded.seen, loaded.kept(), loaded.strategy) == (session.seen, session.kept(), session.strategy)
    assert loaded.generate(max_tokens=8).text() == session.generate(max_tokens=8).text()
    (tmp_path / "session").write_bytes(b"no session")
    with pytest.raises(ValueError, match="session"):
        model.load_session(tmp_path / "session")


def test_trim_and_clear_forget(model):
    session = model.session(threads=1)
    session.append(PROMPT)
    before = session.logits
    assert before.dtype == np.float32
    assert before.shape == (model.n_vocab,)
    n = session.seen
    session.append(" then")
    session.trim(n - 1)
    assert session.seen == n - 1
    session.append(model.tokenize(PROMPT)[-1:])
    assert np.abs(session.logits - before).max() < 0.5
    session.clear()
    assert (session.seen, session.held, session.logits.size) == (0, 0, 0)


def test_impossible_values_are_refused(model):
    for options, sentence in [
        ({"positions": "near"}, 'positions is "near": absolute, packed or auto is needed'),
        ({"prefill": "half"}, 'prefill is "half": full or bounded is needed'),
        ({"kv_type": "f8"}, 'kv_type is "f8": f32, f16, bf16, q8_0 or q4_0 is needed'),
        ({"flash_attention": "yes"}, 'flash_attention is "yes": auto, on or off is needed'),
        ({"strategy": "sink_recent:x"}, "x"),
        ({"n_sequences": 0}, "n_sequences"),
    ]:
        with pytest.raises(ValueError, match=sentence):
            model.session(**options)
    with pytest.raises(TypeError, match=r"strategy is neither a str nor a kvevict\.Policy"):
        model.session(3)
    session = model.session()
    with pytest.raises(ValueError, match="nothing was appended"):
        session.generate().text()
    with pytest.raises(ValueError, match="max_tokens is -1: 0 or more is needed"):
        session.generate(PROMPT, max_tokens=-1)
    with pytest.raises(ValueError, match="grammar"):
        session.generate(PROMPT, grammar="root ::= (")
    with pytest.raises(ValueError, match="tokens has -1"):
        session.append([-1])
    with pytest.raises(IndexError, match="there is no layer 30"):
        session.kept(30)
    assert session.seen == 0
