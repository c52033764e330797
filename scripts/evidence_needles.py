"""The tables of docs/evidence.md: needles in real prose with the question known and not, and perplexity. See evidence.py."""

import dataclasses
import json
import os

from evidence_parts import (DEPS, ROOT, bootstrap, difference_text, is_complete, log_perplexities, perplexity_text, run_parts,
                            wilson)

DOC = ROOT / "docs" / "evidence.md"
PROSE = "demo-prose.txt"  # the documents of the demo question sets, one behind the other
TEXTS = ["debian-reference.txt", "jargon.txt"]  # of perplexity
FRACTIONS = [4, 8]  # kept: one fourth, one eighth of the prompt
CASES = {1024: 5, 1792: 5}  # prompt tokens: texts of four needles; 40 cases
PASSKEYS = {1024: 4, 1792: 4}  # prompt tokens: keys at each of the five depths; 40 cases
KINDS = ["codes", "birthplaces", "passkey", "passkey in filler"]
ORDERS = {"before": "known", "after": "not seen"}
SINK, RECENT = 4, 64
ONE_SHOT = {"tokens": 1024, "window": 256, "passages": 6}
STREAM = {"tokens": 4096, "window": 256, "chunk": 128, "budget": 448}


def set_sizes(lengths, n_texts, recent):
    """For another model: prompt tokens, texts for each length (as many passkeys, or a few more), the recent window."""
    global CASES, PASSKEYS, RECENT, FRACTIONS
    CASES = {length: n_texts for length in lengths}
    PASSKEYS = {length: -(-4 * n_texts // 5) for length in lengths}
    RECENT = recent
    FRACTIONS = [f for f in FRACTIONS if min(lengths) // f > SINK + recent]


def ordinary(name, keys=""):
    return lambda total, recent: f"{name}:{SINK}:{recent}:{total - SINK - recent}{keys}"


def uniform(total, recent):
    """What whole blocks of 32 leave of the budget goes to the recent window."""
    n_blocks = (total - SINK - recent) // 32
    return f"sink_recent_uniform:{SINK}:{total - SINK - 32 * n_blocks}:{32 * n_blocks}:block=32"


@dataclasses.dataclass
class Row:
    label: str
    spec: object  # (tokens in all, recent tokens) -> strategy


ROWS = [
    Row("full", lambda total, recent: "full"),
    Row("sink_recent", lambda total, recent: f"sink_recent:{SINK}:{total - SINK}"),
    Row("sink_recent_uniform", uniform),
    Row("snapkv", ordinary("snapkv")),
    Row("snapkv:per_layer=0", ordinary("snapkv", ":per_layer=0")),
    Row("keydiff", ordinary("keydiff")),
    Row("keydiff:smooth=1", ordinary("keydiff", ":smooth=1")),
    Row("keydiff:per_layer=1", ordinary("keydiff", ":per_layer=1")),
    Row("keydiff:rotated=1", ordinary("keydiff", ":rotated=1")),
]
REFERENCE = ROWS[1]
SUBJECT = "keydiff"  # the row that the others are held against


def named_rows():
    """The labels in $KVEVICT_EVIDENCE_ROWS, separated by commas."""
    return list(filter(None, os.environ.get("KVEVICT_EVIDENCE_ROWS", "").split(",")))


def chosen_rows():
    """All rows, or those that are named."""
    return [r for r in ROWS if not named_rows() or r.label in named_rows()]


def slug(text):
    return text.replace(":", "-").replace("=", "").replace(" ", "_")


def write_prose(path):
    """The contexts of the demo question sets in English, each once."""
    contexts = {}
    for dataset in ["narrativeqa", "qasper", "multifieldqa_en", "hotpotqa", "2wikimqa", "musique"]:
        for line in (ROOT / "data" / "demo" / f"{dataset}.jsonl").read_text().splitlines():
            contexts[json.loads(line)["context"]] = None
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n\n".join(contexts))


class Needles:
    """Their parts: a file for each kind, order and length, of all rows, which share their prefills."""

    def __init__(self, folder, model):
        self.folder, self.model = folder, model

    def path(self, kind, order, length):
        return self.folder / f"needle-{slug(kind)}-{order}-{length}.json"

    @staticmethod
    def specs(length, row):
        return list(dict.fromkeys(row.spec(length // fraction, RECENT) for fraction in FRACTIONS))

    def parts(self, orders=tuple(ORDERS), kinds=tuple(KINDS)):
        for order in orders:
            for kind in kinds:
                is_passkey = kind.startswith("passkey")
                for length, n_keys in (PASSKEYS if is_passkey else CASES).items():
                    out = self.path(kind, order, length)
                    if is_complete(out):
                        continue
                    strategies = ",".join(dict.fromkeys(s for r in chosen_rows() for s in self.specs(length, r)))
                    yield ["needle", *self.model, "--needles", kind.split()[0], "--question", order, "--lengths", length, "--keys", n_keys,
                           "--seed", length, *([] if kind == "passkey in filler" else ["--text", self.folder / PROSE]),
                           *(["--depths", "10,30,50,70,90"] if is_passkey else []), "--positions", "absolute",
                           "--decode_slack", 1, "--strategies", strategies, "--output", out]

    def found(self, kind, order, fraction, row):
        """Of each case whether it was found, or nothing if a part is missing."""
        cases = []
        for length in PASSKEYS if kind.startswith("passkey") else CASES:
            path = self.path(kind, order, length)
            if not is_complete(path):
                return None
            spec = row.spec(length // fraction, RECENT)
            runs = {r["run"]["name"].removesuffix(":question=after"): r for r in json.loads(path.read_text())["runs"]}
            run = next((r for name, r in runs.items() if name == spec or canonical(name) == canonical(spec)), None)
            if run is None:
                return None
            cases += [a["found"] for a in run["answers"]]
        return cases


def canonical(spec):
    """A strategy with its keys in one order."""
    name, *values = spec.split(":")
    return name, tuple(v for v in values if "=" not in v), frozenset(v for v in values if "=" in v)


def cell(cases):
    if not cases:
        return "–"
    low, high = wilson(sum(cases), len(cases))
    return f"{sum(cases)}/{len(cases)} [{abs(100 * low):.0f}–{100 * high:.0f}]"


def paired(cases, subject):
    if not cases or not subject or len(cases) != len(subject):
        return "–"
    differences = [100 * (int(b) - int(a)) for a, b in zip(cases, subject)]
    low, high = bootstrap(differences)
    return f"{sum(differences) / len(differences):+.0f} [{low:+.0f}, {high:+.0f}]"


def needle_table(needles, fraction):
    columns = [(kind, order) for kind in KINDS for order in ORDERS]
    yield f"### One {'fourth' if fraction == 4 else 'eighth'} of the prompt is kept"
    yield ""
    yield "| strategy | " + " | ".join(f"{kind}, {ORDERS[order]}" for kind, order in columns) + " |"
    yield "|---|" + "---:|" * len(columns)
    for row in chosen_rows():
        yield f"| `{row.label}` | " + " | ".join(cell(needles.found(k, o, fraction, row)) for k, o in columns) + " |"
    subject = next((r for r in chosen_rows() if r.label == SUBJECT), None)
    if subject is None:
        return
    yield ""
    yield f"`{SUBJECT}` against each of them, in points, over the same cases:"
    yield ""
    yield "| against | " + " | ".join(f"{kind}, {ORDERS[order]}" for kind, order in columns) + " |"
    yield "|---|" + "---:|" * len(columns)
    for row in chosen_rows():
        if row is not subject:
            yield f"| `{row.label}` | " + " | ".join(
                paired(needles.found(k, o, fraction, row), needles.found(k, o, fraction, subject)) for k, o in columns) + " |"


class Perplexity:
    """Behind one eviction, and streamed."""

    def __init__(self, folder, model):
        self.folder, self.model = folder, model
        total = ONE_SHOT["tokens"] // 4
        self.settings = {"one eviction": (total, total // 2), **{f"streamed, recent {r}": (STREAM["budget"], r) for r in (64, 224)}}

    def spec(self, setting, row):
        return row.spec(*self.settings[setting])

    def path(self, setting, text, row):
        return self.folder / f"perplexity-{slug(setting).replace(',', '')}-{text[:-4]}-{slug(self.spec(setting, row))}.json"

    def parts(self):
        begun = set()
        for setting in self.settings:
            for row in chosen_rows():
                for text in TEXTS:
                    out = self.path(setting, text, row)
                    if out in begun or is_complete(out):
                        continue
                    begun.add(out)
                    yield ["perplexity", DEPS / "texts" / text, *self.model, "--strategies", self.spec(setting, row), "--positions", "absolute",
                           *self.size(setting), "--output", out]

    @staticmethod
    def size(setting):
        if setting == "one eviction":
            return ["--evict_at", ONE_SHOT["tokens"], "--window", ONE_SHOT["window"],
                    "--total_tokens", ONE_SHOT["passages"] * (ONE_SHOT["tokens"] + ONE_SHOT["window"])]
        return ["--window", STREAM["window"], "--chunk", STREAM["chunk"], "--total_tokens", STREAM["tokens"]]

    def logs(self, setting, row):
        """Of all windows of all texts, or nothing if a part is missing."""
        paths = [self.path(setting, text, row) for text in TEXTS]
        if not all(map(is_complete, paths)):
            return None
        return [value for path in paths for value in log_perplexities(path).values()]

    def table(self):
        yield "| strategy | " + " | ".join(f"{s} | against sink + recent" for s in self.settings) + " |"
        yield "|---|" + "---:|" * (2 * len(self.settings))
        for row in chosen_rows():
            cells = []
            for setting in self.settings:
                logs = self.logs(setting, row)
                reference = self.logs(setting, REFERENCE)
                cells += [perplexity_text(logs) if logs else "–",
                          difference_text(logs, reference) if logs and reference and row is not REFERENCE else ""]
            yield f"| `{row.label}` | " + " | ".join(cells) + " |"


def lines(folder, model, model_name):
    needles = Needles(folder, model)
    n_cases = 4 * sum(CASES.values())
    yield f"## {model_name}"
    yield ""
    yield (f"Needles in passages of the demo question sets' documents ([questions.md](questions.md)): prompts of "
           f"{' and '.join(map(str, CASES))} tokens, {n_cases} cases a cell (of passkeys {5 * sum(PASSKEYS.values())}). Sink {SINK}, recent window {RECENT}, absolute positions; every "
           "strategy but `full` keeps the same number of tokens (what whole blocks of `sink_recent_uniform` leave goes to its recent "
           "window). *In filler*: between one sentence, again and again. *Known*: the question is in the prompt when tokens are evicted; *not seen*: it comes afterwards, on top of the "
           "budget. Found of asked, in brackets Wilson's 95 % interval in percent; differences are paired, with bootstrap intervals.")
    for fraction in FRACTIONS:
        yield ""
        yield from needle_table(needles, fraction)


def perplexity_lines(folder):
    perplexity = Perplexity(folder, [])
    yield "### Perplexity"
    yield ""
    yield (f"One eviction: {ONE_SHOT['passages']} passages of each text, of {ONE_SHOT['tokens']} tokens, of which one fourth is kept, half of "
           f"that in the recent window; the next {ONE_SHOT['window']} tokens are judged. Streamed: {STREAM['tokens']:,} tokens of each text "
           f"in chunks of {STREAM['chunk']}, {STREAM['budget']} tokens kept. Texts: Debian's reference manual and the Jargon File; geometric means over windows of "
           f"{STREAM['window']}, 95 % bootstrap intervals, differences paired.")
    yield ""
    yield from perplexity.table()


def ordered_parts(folder, model):
    """What says most comes first: a run that is ended early has it."""
    needles = Needles(folder, model)
    yield from needles.parts(kinds=["codes"])
    yield from needles.parts(orders=["after"], kinds=["birthplaces"])
    if not model:
        yield from Perplexity(folder, model).parts()
    yield from needles.parts(orders=["before"], kinds=["birthplaces"])
    yield from needles.parts(kinds=["passkey", "passkey in filler"])


def run_missing(folder, model):
    write_prose(folder / PROSE)
    return run_parts(ordered_parts(folder, model))


def write(folder, model, model_name):
    """The parts of the page for one model; the others stay, and so do perplexities until all of them are there."""
    text = write_part(model_name, lines(folder, model, model_name))
    if not model and not any(Perplexity(folder, model).parts()):
        text += "\n" + write_part(f"{model_name}, perplexity", perplexity_lines(folder))
    return text


def write_part(name, lines_of_part):
    begin, end = f"<!-- begin: {name} (generated) -->", f"<!-- end: {name} -->"
    text = "\n".join([begin, *lines_of_part, end])
    page = DOC.read_text() if DOC.exists() else "# Evidence\n\nMade by `scripts/evidence.py`.\n"
    if begin not in page:
        page = page.rstrip("\n") + f"\n\n{begin}\n{end}\n"
    before, rest = page.split(begin)
    DOC.write_text(before + text + rest.split(end)[1])
    return text
