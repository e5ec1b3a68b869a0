#!/usr/bin/env bash
# An order's story told backwards: delivered, shipped, its stock asked for, and only then placed.
source "$(dirname "$0")/common.sh"
raw EVENT#Delivery OrderDelivered "{\"order_id\":\"$order\"}"
raw EVENT#Closing OrderShipped "{\"order_id\":\"$order\",\"carrier\":\"DHL\"}"
lines='"items":[{"sku":"CHAOS-THING","quantity":2}]'
raw EVENT#ReserveInventory ReserveInventory "{\"order_id\":\"$order\",\"customer_id\":\"chaos-customer\",$lines}"
sleep 0.5
sagaline order place --customer chaos-customer --item CHAOS-THING=2 --order-id "$order"
sagaline order watch "$order"
sagaline order events "$order"
