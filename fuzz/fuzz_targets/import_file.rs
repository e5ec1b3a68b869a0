//! A file of shop records: it is refused, or it is a plan whose orders can be placed and whose cancellations
//! take back what was placed.
#![no_main]

use std::collections::BTreeSet;

use libfuzzer_sys::fuzz_target;
use plan::{MAX_LINES, Step};

#[allow(dead_code, reason = "the command that this module is part of uses all of it")]
#[path = "../../cli/src/import/plan.rs"]
mod plan;

fuzz_target!(|input: &[u8]| {
    let Ok(plan) = plan::plan(input, plan::MAX_LINES) else { return };
    let again = plan::plan(input, plan::MAX_LINES).expect("it was one before");
    assert_eq!(
        (&plan.steps, &plan.products),
        (&again.steps, &again.products),
        "the same file, the same plan"
    );

    let customers: BTreeSet<_> = plan.customers.iter().collect();
    let products: BTreeSet<_> = plan.products.iter().map(|product| &product.sku).collect();
    let (mut placed, mut cancelled) = (BTreeSet::new(), BTreeSet::new());
    for step in &plan.steps {
        match step {
            Step::Place(order) => {
                let skus: BTreeSet<_> = order.items.iter().map(|(sku, _)| sku).collect();
                assert!(
                    (1..=MAX_LINES).contains(&skus.len()) && skus.len() == order.items.len(),
                    "{order:?}"
                );
                assert!(
                    order.items.iter().all(|(sku, units)| *units > 0 && products.contains(sku)),
                    "{order:?}"
                );
                assert!(customers.contains(&order.customer_id), "{order:?}");
                placed.insert(&order.order_id);
            }
            Step::Cancel(order) => {
                assert!(
                    placed.contains(order) && cancelled.insert(order),
                    "{order} cannot be cancelled here"
                );
            }
        }
    }
    assert!(plan.lots(0.5).iter().all(|(sku, units)| *units > 0 && products.contains(sku)));
});
