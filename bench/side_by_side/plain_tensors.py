#!/usr/bin/env python3
"""What bench/cache_evict is held against: the obvious Python loop that builds a plan, and, where PyTorch can be
imported, index_select and assignment as a Python cache does it. Prints one JSON object.

usage: plain_tensors.py [--iterations N]
"""

import argparse
import ctypes
import json
import time

GEOMETRIES = {
    "32x[1,8,16384,128]": (32, (1, 8, 16384, 128), 2, True),
    "32x[1,16384,8,128]": (32, (1, 16384, 8, 128), 1, True),
    "16x[16,8,2048,128]": (16, (16, 8, 2048, 128), 2, True),
    "1x[1,1,2097152,128]": (1, (1, 1, 2097152, 128), 2, True),
    "60x[1,1,16384,576]_mla": (60, (1, 1, 16384, 576), 2, False),
    "8x[1,8,128,16384]_seq_innermost": (8, (1, 8, 128, 16384), 3, True),
}
USUAL = ("256+512", "256+512+512_uniform", "alternate")
LONG = ("256+half", "all_but_row_4", "alternate")


def plan_by_loop(total_len, block_n, sink, recent, budget):
    """Token by token, as one writes it down: the middle cut into blocks, blocks chosen evenly, indices collected."""
    pieces = []
    for i in range(total_len):
        if sink <= i < total_len - recent:
            if not pieces or i // block_n != pieces[-1][0] // block_n:
                pieces.append([])
            pieces[-1].append(i)
    n = min(len(pieces), budget // block_n)
    chosen = set()
    for i in range(n):
        chosen.update(pieces[(2 * i + 1) * len(pieces) // (2 * n)])
    return [i for i in range(total_len) if i < sink or i >= total_len - recent or i in chosen]


def keep_indices(plan, n):
    if plan == "alternate":
        return list(range(0, n, 2))
    if plan == "256+half":
        return plan_by_loop(n, 128, 256, n // 2, 0)
    if plan == "all_but_row_4":
        return [i for i in range(n) if i != 4]
    return plan_by_loop(n, 128, 256, 512, 512 if "uniform" in plan else 0)


def best(work, iterations, give_back=False):
    """Of several times. `give_back`: what an iteration allocated goes back to the system before the next one, as a cache
    is evicted into memory that it did not have before; else the allocator may hand out the same memory again."""
    times = []
    for _ in range(iterations):
        begin = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - begin)
        del result
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
        if give_back and trim:
            trim(0)
    return min(times)


def index_select(torch, geometry, plan, iterations):
    n_layers, shape, axis, has_v = geometry
    tensors = [torch.ones(shape, dtype=torch.bfloat16) for _ in range(n_layers * (2 if has_v else 1))]
    index = torch.tensor(keep_indices(plan, shape[axis]), dtype=torch.long)

    def work():
        return [tensor.index_select(axis, index) for tensor in tensors]

    seconds, seconds_reused = best(work, iterations, give_back=True), best(work, iterations)
    extra = sum(tensor.numel() for tensor in tensors) // shape[axis] * len(index) * 2
    return {"best_ms": seconds * 1e3, "best_ms_memory_reused": seconds_reused * 1e3, "second_copy_bytes": extra}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--iterations", type=int, default=5)
    parser.add_argument("--geometry", action="append", choices=list(GEOMETRIES), help="only these")
    arguments = parser.parse_args()
    result = {"plan_1048576_tokens_ms": best(lambda: plan_by_loop(1 << 20, 128, 256, 512, 65536), 3) * 1e3}
    try:
        import torch
    except ImportError:
        result["torch"] = None
        print(json.dumps(result, indent=2))
        return
    result["torch"] = torch.__version__
    most_threads = torch.get_num_threads()
    rows = result["index_select"] = {}
    for name in arguments.geometry or GEOMETRIES:
        for plan in LONG if name.startswith("1x") else USUAL:
            for threads in sorted({1, most_threads}):
                torch.set_num_threads(threads)
                rows[f"{name}/{plan}/threads:{threads}"] = index_select(torch, GEOMETRIES[name], plan, arguments.iterations)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
