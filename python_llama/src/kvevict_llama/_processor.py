"""Which of the modules in a wheel this processor can run.

A wheel has two: ``_engine`` for AVX2, and ``avx512/_engine``. A build for this machine alone has the first, for what
this machine has.
"""

import importlib.util
import os
import pathlib
import sys

AVX2 = {"avx2", "fma", "f16c", "bmi2"}
AVX512 = {f"avx512{part}" for part in ("f", "bw", "cd", "dq", "vl", "vbmi", "_vnni", "_bf16")}


def processor_flags() -> set[str]:
    """What Linux says of the first processor; all of them are alike."""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            return set(line.partition(":")[2].split())
    return set()


def choose_engine(folder: pathlib.Path) -> None:
    """Makes ``kvevict_llama._engine`` the module of `folder` that is quickest here.

    ``$KVEVICT_CPU`` set to ``avx2`` leaves AVX-512 out. ImportError if none can run.
    """
    found = sorted((folder / "avx512").glob("_engine.*.so"))
    if not found:
        return
    flags = processor_flags()
    if not flags >= AVX2:
        missing = ", ".join(sorted(AVX2 - flags))
        raise ImportError(
            f"kvevict-llama needs a processor with AVX2, and this one lacks {missing}: build it here instead"
        )
    if not flags >= AVX512 or os.environ.get("KVEVICT_CPU") == "avx2":
        return
    name = "kvevict_llama._engine"
    spec = importlib.util.spec_from_file_location(name, found[0])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    sys.modules[name] = module
