//! Lines of SKUs and quantities as requests name them, added up so that no SKU comes twice.

use events::{Quantity, Sku};

use crate::fields::{Bad, Fields, id, whole};

/// Units of one SKU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) sku: Sku,
    pub(crate) quantity: Quantity,
    /// Where the request names the SKU first, for pointers to it.
    pub(crate) index: usize,
}

impl Line {
    /// The JSON pointer of the SKU.
    pub(crate) fn pointer(&self) -> String {
        format!("/items/{}/sku", self.index)
    }
}

/// The most SKUs of one order. Their counters move in one atomic write, which takes 99 at most.
pub(crate) const MAX_SKUS: usize = 90;
/// The most units of one line.
const MAX_UNITS: u64 = 1_000_000;

/// Reads `items`, in the order of each SKU's first line.
pub(crate) fn items(body: &mut Fields) -> Option<Vec<Line>> {
    let named = body.each("items", |line| {
        let sku = line.required("sku", id(Sku::parse));
        let quantity = line.required("quantity", whole(1..=MAX_UNITS));
        sku.zip(quantity.and_then(|units| Quantity::new(units).ok()))
    })?;
    match add_up(named) {
        Ok(lines) => Some(lines),
        Err((pointer, bad)) => {
            body.refuse_at(pointer, bad);
            None
        }
    }
}

fn add_up(named: Vec<(Sku, Quantity)>) -> Result<Vec<Line>, (String, Bad)> {
    let mut lines: Vec<Line> = Vec::with_capacity(named.len().min(MAX_SKUS));
    for (index, (sku, quantity)) in named.into_iter().enumerate() {
        if let Some(known) = lines.iter_mut().find(|line| line.sku == sku) {
            known.quantity = known.quantity.plus(quantity).ok_or_else(|| {
                let detail =
                    format!("must be at most {} when all lines of the SKU are added up", Quantity::MAX);
                (format!("/items/{index}/quantity"), Bad("out_of_range", detail.into()))
            })?;
        } else if lines.len() == MAX_SKUS {
            let detail = format!("must name at most {MAX_SKUS} different SKUs; split the order");
            return Err(("/items".into(), Bad("too_many_skus", detail.into())));
        } else {
            lines.push(Line { sku, quantity, index });
        }
    }
    Ok(lines)
}
