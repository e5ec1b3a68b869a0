#!/usr/bin/env bash
# An order's story told backwards: delivered, shipped, reserved, and only then placed.
source "$(dirname "$0")/common.sh"
raw EVENT#Delivery OrderDelivered "{\"order_id\":\"$order\"}"
raw EVENT#Closing OrderShipped "{\"order_id\":\"$order\",\"carrier\":\"DHL\"}"
sagaline order place --customer chaos-customer --item CHAOS-THING=2 --order-id "$order"
sagaline order watch "$order"
sagaline order events "$order"
