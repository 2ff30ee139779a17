#!/usr/bin/env bash
# Will a called client open a term deposit? Trains on calls in their order, and on random rows beside it.
# Usage: examples/bank-marketing/run.sh bank-additional.zip [further options of `pareto recsys train`]
set -euo pipefail
zip=$(realpath "${1:?Give the path of bank-additional.zip, see README.md beside this script}")
shift
cd "$(dirname "$0")/../.."
work=runs/bank-marketing
rm -rf "$work"
mkdir -p "$work"
unzip -q -o -j "$zip" bank-additional/bank-additional-full.csv -d "$work"

# The length of the call is known only when its outcome is.
leaks=duration
# Quarterly figures of the whole economy: within one file they tell the date more than the client.
economy=emp.var.rate,cons.price.idx,cons.conf.idx,euribor3m,nr.employed

train() { # NAME IGNORED [options]
  local name=$1 ignored=$2
  shift 2
  printf '\n%s\n' "$name"
  npm run -s pareto -- recsys train "$work/bank-additional-full.csv" --quiet --label y --ignore "$ignored" \
    --model 'dlrm:bottom=(64,32),top=(64,32)' --batch-size 256 --epochs 5 --optimizer adam --lr 0.001 \
    --cache "$work/cache" --out "$work/$name" "$@"
}

train temporal-baseline "$leaks,$economy" "$@"
train temporal-fae "$leaks,$economy" --strategy fae "$@"
train temporal-economy "$leaks" "$@"
train random-baseline "$leaks,$economy" --split random "$@"
train random-economy "$leaks" --split random "$@"
