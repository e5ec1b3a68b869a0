#!/usr/bin/env bash
# Known names with payloads that say nothing, and a stream that is none of ours.
source "$(dirname "$0")/common.sh"
raw EVENT#Malformed#1 OrderCancelled '{"order_id":42}'
raw EVENT#Malformed#2 InventoryReserved '{}'
raw EVENT#Malformed#3 OrderPaymentAccepted '{"order_id":"another-order","amount":1,"currency":"EUR"}'
sagaline order place --customer chaos-customer --item CHAOS-THING=2 --order-id "$order"
sagaline order watch "$order"
stream="NOT#A#STREAM#$order"
raw EVENT#Lost InventoryReserved '{}'
sleep 1
sagaline dlq list
