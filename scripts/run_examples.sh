#!/usr/bin/env bash
# The batch of experiments: four strategies over the seven question-answering sets, from one prefill each; results
# under results/. A run that was cut off goes on where it stopped.
#   scripts/run_examples.sh                                the default model, the shipped demo set
#   scripts/run_examples.sh --model FILE --data_dir DIR    any model, LongBench's own data (see kvevict fetch)
# Further flags go to kvevict longbench; RESULTS names another folder, STRATEGIES other strategies.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
RESULTS=${RESULTS:-results}
KVEVICT=${KVEVICT:-build/release/bin/kvevict}
# a tenth to a third of the demo set's prompts; for LongBench rather full,sink_recent:256:1024,… as in docs/strategies.md
STRATEGIES=${STRATEGIES:-full,sink_recent:64:256,sink_recent_uniform:64:256:512,streaming_llm:4:316}
if [ ! -x "$KVEVICT" ]; then
  scripts/setup.sh
fi
case " $* " in
  *" --data_dir"* | *" --data-dir"*) ;;
  *) set -- --data_dir data/demo "$@" ;;
esac
for dataset in narrativeqa qasper multifieldqa_en multifieldqa_zh hotpotqa 2wikimqa musique; do
  printf '==> %s\n' "$dataset"
  "$KVEVICT" longbench --dataset "$dataset" --strategies "$STRATEGIES" --output "$RESULTS/$dataset.json" "$@"
done
for dataset in narrativeqa qasper multifieldqa_en multifieldqa_zh hotpotqa 2wikimqa musique; do
  printf '\n'
  "$KVEVICT" compare "$RESULTS/$dataset.json" --flips 0
done
