# What the scripts share: a customer, a product with stock, and a new order's name.
set -euo pipefail
sagaline customer add --id chaos-customer >/dev/null
sagaline product add --id chaos-thing --sku CHAOS-THING --name "A thing" --price 5 >/dev/null
sagaline sku restock CHAOS-THING --units 100000 --lot chaos-lot-1 >/dev/null
order="chaos-$(date +%s)-$$"
stream="EVENTS#ORDER_ID#$order"
raw() { sagaline event raw --pk "$stream" --sk "$1" --name "$2" --data "$3"; }
