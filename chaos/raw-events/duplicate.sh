#!/usr/bin/env bash
# Every event of a paid order once more, under keys that the log does not know yet.
source "$(dirname "$0")/common.sh"
sagaline order place --customer chaos-customer --item CHAOS-THING=2 --order-id "$order"
sagaline order watch "$order"
lines='"items":[{"sku":"CHAOS-THING","quantity":2}]'
raw EVENT#Again#1 ReserveInventory "{\"order_id\":\"$order\",\"customer_id\":\"chaos-customer\",$lines}"
raw EVENT#Again#2 InventoryReserved "{\"order_id\":\"$order\",$lines}"
raw EVENT#Again#3 OrderPaymentAccepted "{\"order_id\":\"$order\",\"payment_id\":\"forged\",\"amount\":10,\"currency\":\"EUR\"}"
raw EVENT#Again#4 InventoryReleased "{\"order_id\":\"$order\",$lines}"
sagaline order events "$order"
sagaline order get "$order"
