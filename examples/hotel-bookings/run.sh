#!/usr/bin/env bash
# Will a hotel booking be cancelled? Trains on bookings in order of arrival, and on random rows beside it.
# Usage: examples/hotel-bookings/run.sh hotel_bookings.csv.zip [further options of `pareto recsys train`]
set -euo pipefail
zip=$(realpath "${1:?Give the path of hotel_bookings.csv.zip, see README.md beside this script}")
shift
cd "$(dirname "$0")/../.."
work=runs/hotel-bookings
rm -rf "$work"
mkdir -p "$work"
unzip -q -o "$zip" hotel_bookings.csv -d "$work"

# The file holds one hotel after the other: time is the arrival date, which it keeps in three columns.
arrival="make_date(arrival_date_year::INT, month(strptime(arrival_date_month, '%B'))::INT, arrival_date_day_of_month::INT)"
# These are known only after the booking was made or kept.
leaks=reservation_status,reservation_status_date,assigned_room_type,booking_changes,required_car_parking_spaces,deposit_type

train() { # NAME SELECT [options]
  local name=$1 select=$2
  shift 2
  printf '\n%s\n' "$name"
  npm run -s pareto -- recsys train "$work/hotel_bookings.csv" --quiet \
    --sql "$select *, $arrival AS arrival FROM source" --time arrival \
    --label is_canceled --ignore "$leaks,arrival_date_year" --categorical agent,company \
    --model 'dlrm:bottom=(64,32),top=(64,32)' --batch-size 256 --epochs 5 --optimizer adam --lr 0.001 \
    --cache "$work/cache" --out "$work/$name" "$@"
}

train temporal-baseline SELECT "$@"
train temporal-fae SELECT --strategy fae "$@"
train temporal-fae-16KiB SELECT --strategy fae:budget=16KiB "$@"
train temporal-fae-16KiB-fixed SELECT --strategy fae:budget=16KiB,shuffle=fixed "$@"
train random-baseline SELECT --split random "$@"
train random-distinct 'SELECT DISTINCT' --split random "$@"
