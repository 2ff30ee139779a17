#!/usr/bin/env bash
# Every protein model on every split and seed, on the families of the HomFam benchmark (HF73: families of 700 distinct
# sequences or more, 1,000 of each at most). A run that is done is not trained again and a stopped one is resumed, so
# this can be called until everything is there.
#
# Usage: recipes/hf73.sh SOURCE OUT [options of `pareto protein train`, for the networks]
#   SOURCE   folder of FASTA files, one a family
#   OUT      folder of the runs; a run is called MODEL-SPLIT-SEED, and what it printed is in a .log beside it
#   MODELS   models, by spaces. Defaults to the four networks and the five k-mer methods
#   SPLITS   splits, by spaces. Defaults to "random species cluster"
#   SEEDS    seeds, by spaces. Defaults to "1 2 3"
#   CAP      sequences of a family at most; empty for all. Defaults to 1000
#   MINIMUM  sequences that a family needs. Defaults to 700
#   JOBS     runs at a time. Defaults to 1
#   PARETO   how `pareto` is called. Defaults to "npx pareto"
#
# In a checkout, with PARETO="npm run -s pareto --", `node scripts/proteinGrid.ts OUT` makes a table of the runs.
set -euo pipefail
source=${1:?give a folder of FASTA files, one a family}
out=${2:?give a folder for the runs}
shift 2
: "${MODELS:=profamnet cnn bilstm larger naive-bayes naive-bayes-tuned logistic nearest-containment nearest-larger}"
: "${SPLITS:=random species cluster}" "${SEEDS:=1 2 3}" "${CAP=1000}" "${MINIMUM:=700}" "${JOBS:=1}"
: "${PARETO:=npx pareto}"
mkdir -p "$out"

train() { # RUN [options]
  local folder=$out/$1
  shift
  if [ -f "$folder/checkpoints/last/checkpoint.json" ]; then
    $PARETO protein train --resume "$folder" --quiet
  else
    rm -rf "$folder"
    $PARETO protein train "$source" --out "$folder" --quiet "$@"
  fi
}

failed=0 running=0
finish() { # waits for one run
  wait -n || failed=1
  running=$((running - 1))
}
for seed in $SEEDS; do
  for model in $MODELS; do
    for split in $SPLITS; do
      name=$model-$split-$seed
      if grep -qs '"status": "done"' "$out/$name/run.json"; then continue; fi
      options=(--model "$model" --split "$split" --seed "$seed" --min-family "$MINIMUM")
      if [ -n "$CAP" ]; then options+=(--cap "$CAP"); fi
      case $model in profamnet | cnn | bilstm | larger) options+=("$@") ;; esac
      [ "$running" -lt "$JOBS" ] || finish
      echo "$name"
      train "$name" "${options[@]}" >"$out/$name.log" &
      running=$((running + 1))
    done
  done
done
while [ "$running" -gt 0 ]; do finish; done
exit "$failed"
