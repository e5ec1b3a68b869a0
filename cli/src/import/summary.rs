//! What an import came to.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::plan::{Credits, Plan};
use crate::groundwork::Registered;
use crate::output::facts;

/// How an order ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum End {
    /// Paid, whether or not it was shipped since.
    Paid,
    /// There was not enough stock.
    OutOfStock,
    /// On request.
    Cancelled,
    /// It could not be paid.
    Rejected,
    /// It has not.
    Open,
}

impl End {
    /// Reads an order. One that was just cancelled is open until its row says so: the row may be older than
    /// the cancellation.
    pub fn of(order: &Value, is_cancelled: bool) -> End {
        let is_cancelled_row = order["status"] == "CANCELLED";
        if order["open"] != false || (is_cancelled && !is_cancelled_row) {
            return End::Open;
        }
        match order["status_reason"].as_str() {
            _ if !is_cancelled_row => End::Paid,
            Some("reservation_failed") => End::OutOfStock,
            Some("payment_rejected") => End::Rejected,
            _ => End::Cancelled,
        }
    }
}

/// Counts, and the names of what went wrong.
#[derive(Debug)]
pub struct Summary {
    file: FileCounts,
    credits: Credits,
    new: u64,
    there: u64,
    /// Orders that the server has, and whether this import cancelled them.
    orders: BTreeMap<String, bool>,
    ends: BTreeMap<End, BTreeSet<String>>,
    refused: Vec<(String, String)>,
    not_cancelled: Vec<(String, String)>,
    /// Customers and products that say something else on the server.
    others: Vec<String>,
    /// SKUs whose lot was sent before with other units.
    other_lots: u64,
}

#[derive(Debug)]
struct FileCounts {
    lines: u64,
    invoices: u64,
    orders: u64,
    customers: u64,
    products: u64,
    free_products: u64,
    skipped: BTreeMap<&'static str, u64>,
    share: f64,
}

/// So many of a kind are named; all are counted.
const NAMED: usize = 10;

impl Summary {
    pub fn new(plan: &Plan, share: f64) -> Self {
        let file = FileCounts {
            lines: plan.lines,
            invoices: plan.invoices,
            orders: plan.orders() as u64,
            customers: plan.customers.len() as u64,
            products: plan.products.len() as u64,
            free_products: plan.free_products() as u64,
            skipped: plan.skipped.iter().map(|(why, lines)| (why.as_str(), *lines)).collect(),
            share,
        };
        Summary {
            file,
            credits: Credits { ..plan.credits },
            new: 0,
            there: 0,
            orders: BTreeMap::new(),
            ends: BTreeMap::new(),
            refused: Vec::new(),
            not_cancelled: Vec::new(),
            others: Vec::new(),
            other_lots: 0,
        }
    }

    pub fn registered(&mut self, id: &str, registered: Registered) {
        match registered {
            Registered::New | Registered::There => {}
            Registered::Other => self.others.push(id.to_owned()),
            Registered::Refused(why) => self.refused(id, why),
        }
    }

    pub fn restocked(&mut self, sku: &str, restocked: Registered) {
        match restocked {
            Registered::New | Registered::There => {}
            Registered::Other => self.other_lots += 1,
            Registered::Refused(why) => self.refused(sku, why),
        }
    }

    pub fn placed(&mut self, order_id: &str, is_new: bool) {
        *(if is_new { &mut self.new } else { &mut self.there }) += 1;
        self.orders.insert(order_id.to_owned(), false);
    }

    pub fn refused(&mut self, id: &str, why: String) {
        self.refused.push((id.to_owned(), why));
    }

    pub fn is_placed(&self, order_id: &str) -> bool {
        self.orders.contains_key(order_id)
    }

    pub fn cancelled(&mut self, order_id: &str) {
        self.orders.insert(order_id.to_owned(), true);
    }

    pub fn not_cancelled(&mut self, order_id: &str, why: String) {
        self.not_cancelled.push((order_id.to_owned(), why));
    }

    /// Every order that the server has, and whether this import cancelled it.
    pub fn orders(&self) -> Vec<(String, bool)> {
        self.orders.iter().map(|(order_id, is_cancelled)| (order_id.clone(), *is_cancelled)).collect()
    }

    pub fn ended(&mut self, order_id: String, end: End) {
        self.ends.entry(end).or_default().insert(order_id);
    }

    fn count(&self, end: End) -> usize {
        self.ends.get(&end).map_or(0, BTreeSet::len)
    }

    /// What makes the import a failure, if anything does.
    pub fn complaint(&self) -> Option<String> {
        if !self.refused.is_empty() {
            return Some(format!(
                "the server refused {} of what the file asks for:{}",
                self.refused.len(),
                named(&self.refused)
            ));
        }
        let open = self.ends.get(&End::Open)?;
        let names: Vec<&str> = open.iter().take(NAMED).map(String::as_str).collect();
        Some(format!("{} orders have not ended yet: {}", open.len(), names.join(", ")))
    }

    pub fn table(&self) -> String {
        let Summary { file, credits, .. } = self;
        let mut pairs = vec![
            ("placed", count(self.new + self.there, format!("{} new, {} were there", self.new, self.there))),
            ("  paid", self.count(End::Paid).into()),
            ("  out of stock", self.count(End::OutOfStock).into()),
            ("  cancelled", self.cancelled_in_words()),
            (
                "  rejected",
                count(self.count(End::Rejected) as u64, "nothing to pay, or not payable".to_owned()),
            ),
        ];
        pairs.extend(self.ends.get(&End::Open).map(|open| ("  still open", open.len().into())));
        pairs.extend((!self.refused.is_empty()).then(|| ("refused", self.refused.len().into())));
        pairs.push(("lines skipped", file.skipped.values().sum::<u64>().into()));
        let indented: Vec<(String, u64)> =
            file.skipped.iter().map(|(why, lines)| (format!("  {why}"), *lines)).collect();
        pairs.extend(indented.iter().map(|(why, lines)| (why.as_str(), (*lines).into())));
        pairs.push(("credit notes", credits.notes.into()));
        pairs.push(("  that cancel an order", credits.matched.into()));
        pairs.push(("  without an order here", credits.unmatched.into()));
        if !self.not_cancelled.is_empty() {
            pairs.push(("  refused", self.not_cancelled.len().into()));
        }
        let from = format!("{} lines, {} invoices as {} orders", file.lines, file.invoices, file.orders);
        pairs.push(("file", from.into()));
        pairs.push(("customers", file.customers.into()));
        pairs.push(("products", count(file.products, format!("{} without a price", file.free_products))));
        let mut text = facts(&pairs);
        for note in self.notes() {
            text.push_str(&format!("\nnote: {note}"));
        }
        text
    }

    /// An order that ran out of stock, or was rejected, before it was cancelled stays what it was.
    fn cancelled_in_words(&self) -> Value {
        let (ended, asked) =
            (self.count(End::Cancelled) as u64, self.orders.values().filter(|asked| **asked).count() as u64);
        if asked > ended {
            format!("{ended} ({} more had already failed)", asked - ended).into()
        } else {
            ended.into()
        }
    }

    fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        if self.other_lots > 0 {
            let (lots, share) = (self.other_lots, self.file.share);
            notes.push(format!(
                "{lots} SKUs were restocked before with another share than {share}; that stock stands"
            ));
        }
        if !self.others.is_empty() {
            let names = self.others.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            notes.push(format!(
                "{} were registered before with other content, which stands: {names}",
                self.others.len()
            ));
        }
        if !self.not_cancelled.is_empty() {
            notes.push(format!("too late to cancel:{}", named(&self.not_cancelled)));
        }
        notes
    }

    pub fn json(&self) -> Value {
        let Summary { file, credits, .. } = self;
        let reasons = |list: &[(String, String)]| -> Vec<Value> {
            list.iter().map(|(id, why)| json!({ "id": id, "why": why })).collect()
        };
        json!({
            "placed": self.new + self.there,
            "new": self.new,
            "paid": self.count(End::Paid),
            "out_of_stock": self.count(End::OutOfStock),
            "cancelled": self.count(End::Cancelled),
            "rejected": self.count(End::Rejected),
            "open": self.ends.get(&End::Open).cloned().unwrap_or_default(),
            "refused": reasons(&self.refused),
            "skipped_lines": file.skipped,
            "credit_notes": {
                "notes": credits.notes,
                "matched": credits.matched,
                "unmatched": credits.unmatched,
                "refused": reasons(&self.not_cancelled),
            },
            "lines": file.lines,
            "invoices": file.invoices,
            "customers": file.customers,
            "products": file.products,
            "free_products": file.free_products,
            "registered_otherwise": self.others,
            "restocked_otherwise": self.other_lots,
        })
    }
}

/// `461 (461 new, 0 were there)`.
fn count(count: u64, note: String) -> Value {
    if count == 0 { 0.into() } else { format!("{count} ({note})").into() }
}

fn named(list: &[(String, String)]) -> String {
    let lines: String = list.iter().take(NAMED).map(|(id, why)| format!("\n  {id}: {why}")).collect();
    if list.len() > NAMED { format!("{lines}\n  …") } else { lines }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_has_ended_when_its_row_says_that_nothing_more_is_owed() {
        let end = |order: Value| End::of(&order, false);
        assert_eq!(end(json!({"status": "PAID", "open": true})), End::Open);
        assert_eq!(end(json!({"status": "PAID", "open": false})), End::Paid);
        assert_eq!(end(json!({"status": "DELIVERED", "open": false})), End::Paid);
        let cancelled = |why: &str| json!({"status": "CANCELLED", "status_reason": why, "open": false});
        assert_eq!(end(cancelled("reservation_failed")), End::OutOfStock);
        assert_eq!(end(cancelled("payment_rejected")), End::Rejected);
        assert_eq!(end(cancelled("cancelled_on_request")), End::Cancelled);
    }

    #[test]
    fn a_cancelled_order_whose_row_is_older_is_still_open() {
        assert_eq!(End::of(&json!({"status": "PAID", "open": false}), true), End::Open);
        let row = json!({"status": "CANCELLED", "status_reason": "cancelled_on_request", "open": false});
        assert_eq!(End::of(&row, true), End::Cancelled);
    }

    #[test]
    fn an_import_fails_by_refusals_and_open_orders_and_by_nothing_else() {
        let mut summary = Summary::new(&Plan::default(), 0.9);
        summary.placed("536365", true);
        summary.ended("536365".into(), End::OutOfStock);
        summary.restocked("85123A", Registered::Other);
        summary.not_cancelled("536365", "it was shipped".into());
        assert_eq!(summary.complaint(), None);
        assert!(summary.table().contains("restocked before with another share"), "{}", summary.table());

        summary.ended("536366".into(), End::Open);
        assert_eq!(summary.complaint().unwrap(), "1 orders have not ended yet: 536366");
        summary.refused("536367", "unknown customer".into());
        assert!(summary.complaint().unwrap().ends_with("536367: unknown customer"));
    }
}
