#!/usr/bin/env bash
# Names that nobody knows, in the stream of an order that goes its way.
source "$(dirname "$0")/common.sh"
raw EVENT#Unknown#1 ORDER_RETRACTED_EVENT "{\"orderId\":\"$order\"}"
sagaline order place --customer chaos-customer --item CHAOS-THING=2 --order-id "$order"
raw EVENT#Unknown#2 OrderTeleported '{"to":"the moon"}'
sagaline order watch "$order"
sagaline order events "$order"
