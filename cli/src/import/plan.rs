//! What a file of shop records means as orders and cancellations. Pure: the same file, the same plan.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::Read;

use anyhow::{Context, bail};
use events::{CustomerId, Money, OrderId, Quantity, Sku};
use serde::Deserialize;

/// The customer who ordered without being known.
pub const GUEST: &str = "guest";
/// The most distinct SKUs that one order may have.
pub const MAX_LINES: usize = 90;

/// What a file asks for.
#[derive(Debug, Default)]
pub struct Plan {
    /// Lines in the file.
    pub lines: u64,
    /// Who ordered, each once.
    pub customers: Vec<CustomerId>,
    /// What was named on a line, each once.
    pub products: Vec<Product>,
    /// Orders and cancellations, in the order of their time.
    pub steps: Vec<Step>,
    /// Invoices of which at least one line became an order.
    pub invoices: u64,
    /// Lines that are no line of an order.
    pub skipped: BTreeMap<Skip, u64>,
    /// What became of the credit notes.
    pub credits: Credits,
}

/// One SKU of the file.
#[derive(Debug, PartialEq, Eq)]
pub struct Product {
    /// The SKU.
    pub sku: Sku,
    /// The description that most lines give; the SKU if none gives any.
    pub name: String,
    /// The first positive price; 0 if there is none.
    pub price: Money,
    /// Units that all orders together ask for.
    pub asked: u64,
}

/// What is done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// An invoice, or a numbered part of one.
    Place(Order),
    /// A credit note takes back an order that was placed before.
    Cancel(OrderId),
}

/// An order to place.
#[derive(Debug, PartialEq, Eq)]
pub struct Order {
    /// The invoice's number, with `-1`, `-2`, … if it was split.
    pub order_id: OrderId,
    /// Who.
    pub customer_id: CustomerId,
    /// What and how many; no SKU twice.
    pub items: Vec<(Sku, u64)>,
}

/// Why a line is no line of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Skip {
    /// Postage, discount, bank charges: nothing that is counted on a shelf.
    Service,
    /// A quantity of 0 or less on an invoice: breakage, a count put right.
    NotPositive,
    /// An invoice, SKU or customer whose id a client may not choose.
    BadId,
}

impl Skip {
    /// The reason in words.
    pub fn as_str(self) -> &'static str {
        match self {
            Skip::Service => "service line",
            Skip::NotPositive => "quantity not positive",
            Skip::BadId => "id breaks the rule for ids",
        }
    }
}

/// Credit notes: the invoices whose number begins with `C`.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Credits {
    /// How many there are.
    pub notes: u64,
    /// Those that take back at least one order.
    pub matched: u64,
    /// Those of an unknown customer, of services only, or of goods that were ordered before the file begins.
    pub unmatched: u64,
}

#[derive(Deserialize)]
struct Record {
    invoice: String,
    sku: String,
    description: String,
    quantity: i64,
    at: String,
    unit_price: f64,
    customer: String,
    #[serde(rename = "country")]
    _country: String,
}

/// Plans a file with the columns `invoice,sku,description,quantity,at,unit_price,customer,country`.
///
/// # Errors
/// A missing column, or a line that cannot be read; the line is named.
pub fn plan(file: impl Read, max_lines: usize) -> anyhow::Result<Plan> {
    let mut planner = Planner { max_lines, ..Planner::default() };
    for invoice in invoices(file)? {
        planner.plan.lines += invoice.len() as u64;
        invoice.iter().for_each(|record| planner.learn(record));
        match invoice[0].invoice.starts_with('C') {
            true => planner.credit(&invoice),
            false => planner.order(&invoice),
        }
    }
    Ok(planner.finish())
}

/// What the first line of a file must name.
const COLUMNS: [&str; 8] =
    ["invoice", "sku", "description", "quantity", "at", "unit_price", "customer", "country"];

/// The lines by invoice, in the order of time; invoices of one moment in the order of the file.
fn invoices(file: impl Read) -> anyhow::Result<Vec<Vec<Record>>> {
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(file);
    let header = reader.headers().context("failed to read its header")?.clone();
    if let Some(missing) = COLUMNS.iter().find(|column| !header.iter().any(|name| name == **column)) {
        bail!("its first line has no column {missing}; it must name {}", COLUMNS.join(","));
    }
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut invoices: Vec<Vec<Record>> = Vec::new();
    for (index, record) in reader.deserialize().enumerate() {
        let line = || format!("line {} of the file", index + 2);
        let record: Record = record.with_context(line)?;
        if !is_time(&record.at) {
            bail!("{}: {:?} is no time such as 2010-12-01T08:26:00Z", line(), record.at);
        }
        match places.entry(record.invoice.clone()) {
            Entry::Occupied(place) => invoices[*place.get()].push(record),
            Entry::Vacant(place) => {
                place.insert(invoices.len());
                invoices.push(vec![record]);
            }
        }
    }
    // Times of this shape sort as text.
    invoices.sort_by(|a, b| a[0].at.cmp(&b[0].at));
    Ok(invoices)
}

fn is_time(text: &str) -> bool {
    let shape = |(byte, like): (u8, u8)| if like == b'0' { byte.is_ascii_digit() } else { byte == like };
    text.len() == 20 && text.bytes().zip(*b"0000-00-00T00:00:00Z").all(shape)
}

/// Goods have a number of five digits; whatever else is charged has a word.
fn is_service(record: &Record) -> bool {
    let digits = record.sku.bytes().take_while(u8::is_ascii_digit).count();
    digits < 5
}

/// `None` for an id that a client may not choose.
fn customer_of(record: &Record) -> Option<CustomerId> {
    let name = if record.customer.is_empty() { GUEST } else { &record.customer };
    CustomerId::parse(name).ok()
}

#[derive(Default)]
struct Planner {
    /// So many lines an order; an invoice with more of them is split.
    max_lines: usize,
    plan: Plan,
    customers: BTreeSet<CustomerId>,
    seen: HashMap<Sku, Seen>,
    /// SKUs by first sight.
    skus: Vec<Sku>,
    /// The orders of each customer and SKU, earliest first, as indices into `orders`.
    orders_of: HashMap<(CustomerId, Sku), Vec<usize>>,
    orders: Vec<OrderId>,
    cancelled: BTreeSet<usize>,
}

#[derive(Default)]
struct Seen {
    /// How many lines call it so; by first sight.
    names: Vec<(String, u64)>,
    price: Option<Money>,
    asked: u64,
}

impl Planner {
    /// Who and what there is, whether or not it becomes part of an order.
    fn learn(&mut self, record: &Record) {
        if let Some(customer) = customer_of(record)
            && !self.customers.contains(&customer)
        {
            self.customers.insert(customer.clone());
            self.plan.customers.push(customer);
        }
        let Ok(sku) = Sku::parse(&record.sku) else { return };
        if is_service(record) {
            return;
        }
        let seen = self.seen.entry(sku.clone()).or_insert_with(|| {
            self.skus.push(sku);
            Seen::default()
        });
        if seen.price.is_none() {
            seen.price = pence(record.unit_price);
        }
        match seen.names.iter_mut().find(|(name, _)| *name == record.description) {
            Some((_, lines)) => *lines += 1,
            None if record.description.is_empty() => {}
            None => seen.names.push((record.description.clone(), 1)),
        }
    }

    fn order(&mut self, invoice: &[Record]) {
        let mut items: Vec<(Sku, u64)> = Vec::new();
        for record in invoice {
            match line_of(record) {
                Err(why) => *self.plan.skipped.entry(why).or_default() += 1,
                Ok((sku, units)) => match items.iter_mut().find(|(known, _)| *known == sku) {
                    Some((_, sum)) => *sum = sum.saturating_add(units),
                    None => items.push((sku, units)),
                },
            }
        }
        let Some(customer_id) = customer_of(&invoice[0]).filter(|_| !items.is_empty()) else { return };
        self.plan.invoices += 1;
        let is_split = items.len() > self.max_lines;
        for (index, part) in items.chunks(self.max_lines).enumerate() {
            let number = &invoice[0].invoice;
            let order_id = if is_split { format!("{number}-{}", index + 1) } else { number.clone() };
            let order_id =
                OrderId::parse(&order_id).expect("lines of an invoice with a bad number are skipped");
            self.place(Order { order_id, customer_id: customer_id.clone(), items: part.to_vec() });
        }
    }

    fn place(&mut self, order: Order) {
        let index = self.orders.len();
        self.orders.push(order.order_id.clone());
        for (sku, units) in &order.items {
            let seen = self.seen.get_mut(sku).expect("every line was learnt from before it was ordered");
            seen.asked = seen.asked.saturating_add(*units);
            self.orders_of.entry((order.customer_id.clone(), sku.clone())).or_default().push(index);
        }
        self.plan.steps.push(Step::Place(order));
    }

    /// For each SKU of the note, the customer's latest order with it that no earlier note took back. Two
    /// SKUs of one note may well be from the same order, which is cancelled once.
    fn credit(&mut self, note: &[Record]) {
        self.plan.credits.notes += 1;
        let mut taken_back: Vec<usize> = Vec::new();
        for record in note {
            if is_service(record) {
                *self.plan.skipped.entry(Skip::Service).or_default() += 1;
                continue;
            }
            let (Ok(sku), Some(customer)) = (Sku::parse(&record.sku), customer_of(record)) else {
                *self.plan.skipped.entry(Skip::BadId).or_default() += 1;
                continue;
            };
            // Guests are many people: nobody knows whose order would be cancelled.
            if record.customer.is_empty() {
                continue;
            }
            let orders = self.orders_of.get(&(customer, sku)).map_or(&[][..], Vec::as_slice);
            let stands = |order: &&usize| !self.cancelled.contains(order);
            taken_back.extend(orders.iter().rev().find(stands).filter(|order| !taken_back.contains(order)));
        }
        match taken_back.is_empty() {
            true => self.plan.credits.unmatched += 1,
            false => self.plan.credits.matched += 1,
        }
        self.plan.steps.extend(taken_back.iter().map(|order| Step::Cancel(self.orders[*order].clone())));
        self.cancelled.extend(taken_back);
    }

    fn finish(mut self) -> Plan {
        for sku in self.skus {
            let seen = self.seen.remove(&sku).expect("every SKU was seen");
            // The first of those that most lines give.
            let name = seen.names.into_iter().rev().max_by_key(|(_, lines)| *lines);
            let name = name.map_or_else(|| sku.to_string(), |(name, _)| name);
            let price = seen.price.unwrap_or(Money::ZERO);
            self.plan.products.push(Product { sku, name, price, asked: seen.asked });
        }
        self.plan
    }
}

fn line_of(record: &Record) -> Result<(Sku, u64), Skip> {
    if is_service(record) {
        return Err(Skip::Service);
    }
    if record.quantity <= 0 {
        return Err(Skip::NotPositive);
    }
    let is_order_id =
        OrderId::parse(&format!("{}-1", record.invoice)).is_ok() && OrderId::parse(&record.invoice).is_ok();
    match Sku::parse(&record.sku) {
        Ok(sku) if is_order_id && customer_of(record).is_some() => Ok((sku, record.quantity.unsigned_abs())),
        _ => Err(Skip::BadId),
    }
}

/// A price in whole pence; `None` if that is nothing.
fn pence(price: f64) -> Option<Money> {
    let minor = (price * 100.0).round();
    Money::from_minor(minor as i64).ok().filter(|price| *price > Money::ZERO)
}

impl Plan {
    /// What is sent to the shelf of each SKU: this share of the units that are asked for, rounded. A SKU of
    /// which that is nothing gets no lot.
    pub fn lots(&self, share: f64) -> Vec<(&Sku, u64)> {
        let units = |asked: u64| ((asked as f64 * share).round() as u64).min(u64::from(Quantity::MAX));
        self.products
            .iter()
            .map(|product| (&product.sku, units(product.asked)))
            .filter(|lot| lot.1 > 0)
            .collect()
    }

    /// How many orders there are to place.
    pub fn orders(&self) -> usize {
        self.steps.iter().filter(|step| matches!(step, Step::Place(_))).count()
    }

    /// How many products never had a price. Orders of these alone cost nothing, and no gateway charges nothing.
    pub fn free_products(&self) -> usize {
        self.products.iter().filter(|product| product.price == Money::ZERO).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: &str = "invoice,sku,description,quantity,at,unit_price,customer,country\n";

    fn planned(lines: &str) -> Plan {
        plan(format!("{HEADER}{lines}").as_bytes(), MAX_LINES).unwrap()
    }

    fn line(invoice: &str, sku: &str, quantity: i64, minute: u32, customer: &str) -> String {
        format!(
            "{invoice},{sku},thing {sku},{quantity},2010-12-01T08:{minute:02}:00Z,2.5,{customer},France\n"
        )
    }

    /// An order's id, its customer, and what it asks for.
    type Shown<'a> = (&'a str, &'a str, Vec<(&'a str, u64)>);

    fn orders(plan: &Plan) -> Vec<Shown<'_>> {
        let orders = plan.steps.iter().filter_map(|step| match step {
            Step::Place(order) => Some(order),
            Step::Cancel(_) => None,
        });
        orders.map(shown).collect()
    }

    fn shown(order: &Order) -> Shown<'_> {
        let items = order.items.iter().map(|(sku, units)| (sku.as_str(), *units)).collect();
        (order.order_id.as_str(), order.customer_id.as_str(), items)
    }

    fn cancelled(plan: &Plan) -> Vec<&str> {
        let cancelled = plan.steps.iter().filter_map(|step| match step {
            Step::Cancel(order) => Some(order.as_str()),
            Step::Place(_) => None,
        });
        cancelled.collect()
    }

    #[test]
    fn units_that_no_number_holds_are_the_largest_number_that_does() {
        let most = line("536365", "85123A", i64::MAX, 26, "17850");
        let plan = planned(&format!("{most}{most}{most}{}", most.replace("536365", "536366")));
        assert_eq!(orders(&plan)[0].2, [("85123A", u64::MAX)]);
        assert_eq!(plan.products[0].asked, u64::MAX);
        assert_eq!(plan.lots(1.0)[0].1, u64::from(Quantity::MAX));
    }

    /// The numbers were counted by another program, written in Python without knowledge of this one.
    #[test]
    fn the_real_file_has_461_orders_and_9_cancellations() {
        let path =
            concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/online-retail/online-retail-2010-12.csv");
        let plan = plan(std::fs::File::open(path).unwrap(), MAX_LINES).unwrap();

        assert_eq!((plan.lines, plan.customers.len(), plan.products.len()), (10_000, 324, 2_009));
        assert_eq!((plan.invoices, plan.orders(), plan.free_products()), (438, 461, 15));
        assert_eq!(plan.skipped, BTreeMap::from([(Skip::Service, 38), (Skip::NotPositive, 30)]));
        assert_eq!(plan.credits, Credits { notes: 43, matched: 9, unmatched: 34 });
        let taken_back =
            ["536488", "536537", "536395", "536397", "536557", "536617", "537140", "537144-1", "536591"];
        assert_eq!(cancelled(&plan), taken_back);

        let orders = orders(&plan);
        assert_eq!((orders[0].0, orders[0].1, orders[460].0), ("536365", "17850", "537224"));
        assert_eq!(orders.iter().map(|order| order.2.len()).sum::<usize>(), 9_490);
        assert_eq!(orders.iter().flat_map(|order| &order.2).map(|line| line.1).sum::<u64>(), 90_389);
        let parts: Vec<(&str, usize)> = orders
            .iter()
            .filter(|order| order.0.starts_with("536592"))
            .map(|order| (order.0, order.2.len()))
            .collect();
        let expected = [
            ("536592-1", 90),
            ("536592-2", 90),
            ("536592-3", 90),
            ("536592-4", 90),
            ("536592-5", 90),
            ("536592-6", 90),
            ("536592-7", 49),
        ];
        assert_eq!(parts, expected);

        let sent = |share: f64| {
            let lots = plan.lots(share);
            (lots.len(), lots.iter().map(|lot| lot.1).sum::<u64>())
        };
        assert_eq!([sent(1.0), sent(0.9), sent(0.5)], [(1_992, 90_389), (1_992, 81_535), (1_992, 45_713)]);
        assert_eq!(sent(0.0), (0, 0));
    }

    #[test]
    fn invoices_are_placed_in_the_order_of_time_and_lines_of_one_sku_are_added_up() {
        let file = [
            line("536002", "22222", 1, 5, "17850"),
            line("536001", "11111", 2, 3, ""),
            line("536002", "33333A", 4, 5, "17850"),
            line("536002", "22222", 6, 5, "17850"),
        ];
        let expected = vec![
            ("536001", "guest", vec![("11111", 2)]),
            ("536002", "17850", vec![("22222", 7), ("33333A", 4)]),
        ];
        assert_eq!(orders(&planned(&file.concat())), expected);
    }

    #[test]
    fn a_long_invoice_is_split_into_numbered_parts_and_a_full_one_is_not() {
        let invoice = |skus: usize| -> String {
            (0..skus).map(|sku| line("536001", &format!("{:05}", 10_000 + sku), 1, 0, "17850")).collect()
        };
        let sizes = |file: &str| -> Vec<(String, usize)> {
            orders(&planned(file)).iter().map(|order| (order.0.to_owned(), order.2.len())).collect()
        };
        assert_eq!(sizes(&invoice(90)), [("536001".to_owned(), 90)]);
        assert_eq!(sizes(&invoice(91)), [("536001-1".to_owned(), 90), ("536001-2".to_owned(), 1)]);
    }

    #[test]
    fn what_is_no_order_line_is_counted_by_its_reason() {
        let file = [
            line("536001", "POST", 1, 0, "17850"),
            line("536001", "BANK CHARGES", -1, 0, "17850"),
            line("536001", "11111", 0, 0, "17850"),
            line("536001", "11111 A", 1, 0, "17850"),
            line("536001", "11111", 1, 0, "1"),
            line("1", "11111", 1, 0, "17850"),
        ];
        let plan = planned(&file.concat());
        assert_eq!(orders(&plan), vec![]);
        let expected = BTreeMap::from([(Skip::Service, 2), (Skip::NotPositive, 1), (Skip::BadId, 3)]);
        assert_eq!(plan.skipped, expected);
    }

    #[test]
    fn a_credit_note_takes_back_the_latest_earlier_order_with_that_sku_that_still_stands() {
        let file = [
            line("536001", "11111", 5, 1, "17850"),
            line("536002", "11111", 5, 2, "17850"),
            line("536003", "22222", 5, 3, "17850"),
            line("536004", "11111", 5, 4, "13047"),
            line("C536005", "11111", -1, 5, "17850"),
            line("C536006", "11111", -1, 6, "17850"),
            line("C536007", "11111", -1, 7, "17850"),
            line("536008", "11111", 5, 8, "17850"),
        ];
        let plan = planned(&file.concat());
        assert_eq!(cancelled(&plan), ["536002", "536001"]);
        assert_eq!(plan.credits, Credits { notes: 3, matched: 2, unmatched: 1 });
    }

    #[test]
    fn a_credit_note_of_several_skus_takes_back_each_of_its_orders_once() {
        let file = [
            line("536001", "11111", 5, 1, "17850"),
            line("536001", "22222", 5, 1, "17850"),
            line("536002", "11111", 5, 2, "17850"),
            line("536002", "33333", 5, 2, "17850"),
            line("C536003", "11111", -1, 3, "17850"),
            line("C536003", "33333", -1, 3, "17850"),
            line("C536003", "22222", -1, 3, "17850"),
            line("C536003", "POST", -1, 3, "17850"),
        ];
        let plan = planned(&file.concat());
        assert_eq!(cancelled(&plan), ["536002", "536001"]);
        assert_eq!(plan.skipped, BTreeMap::from([(Skip::Service, 1)]));
    }

    #[test]
    fn a_guests_credit_note_cancels_nobodys_order() {
        let file = [line("536001", "11111", 5, 1, ""), line("C536002", "11111", -1, 2, "")];
        let plan = planned(&file.concat());
        assert_eq!(cancelled(&plan), [""; 0]);
        assert_eq!(plan.credits.unmatched, 1);
    }

    #[test]
    fn a_product_has_the_commonest_name_and_the_first_positive_price() {
        let at = "2010-12-01T08:00:00Z";
        let file = format!(
            "536001,11111,,1,{at},0,,X\n536002,11111,amazon,1,{at},0,,X\n536003,11111,LAMP,1,{at},1.005,,X\n\
             536004,11111,LAMP,1,{at},9,,X\n536005,22222,,1,{at},0.001,,X\n536006,33333,A,1,{at},1,,X\n\
             536007,33333,B,1,{at},1,,X\n"
        );
        let product = |sku: &str, name: &str, minor, asked| Product {
            sku: Sku::parse(sku).unwrap(),
            name: name.into(),
            price: Money::from_minor(minor).unwrap(),
            asked,
        };
        let expected = [
            product("11111", "LAMP", 100, 4),
            product("22222", "22222", 0, 1),
            product("33333", "A", 100, 2),
        ];
        assert_eq!(planned(&file).products, expected);
    }

    #[test]
    fn a_file_that_cannot_be_read_is_refused_with_its_line() {
        let refused = |file: &str| format!("{:#}", plan(file.as_bytes(), MAX_LINES).unwrap_err());
        let bad = format!(
            "{HEADER}{}536002,11111,x,many,2010-12-01T08:26:00Z,1,,X\n",
            line("536001", "11111", 1, 0, "")
        );
        assert!(refused(&bad).starts_with("line 3 of the file"), "{}", refused(&bad));
        let bad = format!("{HEADER}536002,11111,x,1,12/1/2010 8:26,1,,X\n");
        assert!(refused(&bad).contains("12/1/2010"), "{}", refused(&bad));
    }

    #[test]
    fn a_file_that_is_no_list_of_invoices_is_refused() {
        for text in ["", "a,b\n1,2\n", "invoice,sku\n"] {
            let error =
                plan(text.as_bytes(), MAX_LINES).err().map(|error| format!("{error:#}")).unwrap_or_default();
            assert!(error.contains("no column"), "{text:?}: {error}");
        }
    }
}
