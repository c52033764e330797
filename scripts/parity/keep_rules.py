"""The keep sets of docs/strategies.md and docs/bounded.md, written again from their text: shares no line with the C++."""


def _pieces(begin, end, block):
    """The middle [begin, end) cut by the absolute grid of blocks, as lists of indices."""
    pieces = []
    while begin < end:
        stop = min(end, (begin // block + 1) * block)
        pieces.append(list(range(begin, stop)))
        begin = stop
    return pieces


def one_shot(length, sink, recent, budget=0, block=128):
    """Kept indices of a cache that still holds all `length` tokens."""
    s = min(sink, length)
    r = max(s, length - recent)
    kept = set(range(s)) | set(range(r, length))
    pieces = _pieces(s, r, block)
    if budget >= r - s:
        return set(range(length))
    if budget == 0:
        return kept
    m, k = len(pieces), min(len(pieces), budget // block)
    if k == 0:
        return kept | set(pieces[m // 2][:budget])
    for i in range(k):
        kept |= set(pieces[(2 * i + 1) * m // (2 * k)])
    return kept


def _ruler_value(number):
    return 99 if number == 0 else (number & -number).bit_length() - 1


def ruler(length, sink, recent, budget=0, block=128):
    """Kept indices of a stream of `length` tokens whose cache never held more than its budget."""
    s = min(sink, length)
    r = max(s, length - recent)
    if budget >= r - s:
        return set(range(length))
    pieces = _pieces(s, r, block)
    best = sorted(range(len(pieces)), key=lambda i: (_ruler_value(i), i), reverse=True)[: budget // block]
    return set(range(s)) | set(range(r, length)) | {j for i in best for j in pieces[i]}


def bounded_chunks(n_tokens, chunk, plan):
    """(cached indices in order, chunk's indices) for every chunk of a bounded prefill."""
    held = set()
    for begin in range(0, n_tokens, chunk):
        held &= plan(begin)
        own = list(range(begin, min(n_tokens, begin + chunk)))
        yield sorted(held), own
        held |= set(own)


def parse(strategy):
    """The values of name:sink:recent[:budget][:block=n]."""
    parts = strategy.split(":")
    values = {"sink": int(parts[1]), "recent": int(parts[2])}
    for part in parts[3:]:
        key, _, value = part.rpartition("=")
        values[key or "budget"] = int(value)
    return values
