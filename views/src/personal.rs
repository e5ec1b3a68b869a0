//! What is left of people who were erased: looks at every place that may hold personal data.
//!
//! The log, the rows and their shadows, users, keys, kept answers, messages, dead letters and what was done to them. What
//! is found is named by where it stands and what it is called, never by what it says. In a text, what is personal is known
//! by the name of its member; what a free text says, such as the reason of a cancellation, nobody knows, so those are
//! counted.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use event_store::{
    Beside, Copy, Keys, LogScan, Page, Personal, Segment, ShadowViews, StoreError, Users, View, ViewRow,
    Window,
};
use events::{CustomerId, Event, RecordedEvent, StreamKey, Ulid};
use serde::Serialize;
use serde_json::Value;

use crate::Observe;
use crate::audit::MAX_FINDINGS;
use crate::project;

/// Where it is looked.
#[derive(Clone)]
pub struct Places {
    /// The whole log.
    pub scan: Arc<dyn LogScan>,
    /// Live rows and rebuilt ones.
    pub rows: Arc<dyn ShadowViews>,
    /// Those who can log in.
    pub users: Arc<dyn Users>,
    /// Keys of programs.
    pub keys: Arc<dyn Keys>,
    /// Answers, messages, dead letters, actions.
    pub beside: Vec<Arc<dyn Beside>>,
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct PersonalReport {
    /// Events of the log.
    pub events: u64,
    /// Customers who were erased.
    pub erased: u64,
    /// How much was looked at in each place.
    pub looked_at: BTreeMap<&'static str, u64>,
    /// Free texts: in the log about those who were erased and their orders, the ids that clients gave to requests about
    /// them included; and what stands beside the log and is no document, such as why letters were thrown away. They are
    /// kept; whoever wrote them knows whether they name anybody.
    pub free_texts: u64,
    /// What is left, the first [`MAX_FINDINGS`].
    pub findings: Vec<Left>,
    /// How much is left.
    pub finding_count: u64,
}

/// Something that is left of somebody who was erased.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    /// Of whom.
    pub customer_id: CustomerId,
    /// In which place.
    pub place: &'static str,
    /// Under which key.
    pub key: String,
    /// What it is called there.
    pub what: String,
}

impl PersonalReport {
    /// Whether nothing is left of anybody.
    pub fn is_clean(&self) -> bool {
        self.finding_count == 0
    }

    fn find(&mut self, customer_id: &CustomerId, place: &'static str, key: impl Into<String>, what: String) {
        self.finding_count += 1;
        if self.findings.len() < MAX_FINDINGS {
            let (customer_id, key) = (customer_id.clone(), key.into());
            self.findings.push(Left { customer_id, place, key, what });
        }
    }

    fn look_at(&mut self, place: &'static str, many: usize) {
        *self.looked_at.entry(place).or_default() += many as u64;
    }
}

/// Rows and texts per page.
const PAGE: usize = 1_000;
/// Events per page of the scan.
const EVENTS: usize = 10_000;

/// Looks everywhere. Safe under live traffic; whoever is erased meanwhile may be found half erased.
///
/// # Errors
/// The ports'.
pub async fn personal(places: &Places, observe: Observe<'_>) -> Result<PersonalReport, StoreError> {
    let mut report = PersonalReport::default();
    let mut erased = BTreeSet::new();
    report.events = each_stream(places, observe, |stream| {
        erased.extend(project::customer_row(stream).filter(|row| row.erased).map(|row| row.customer_id));
    })
    .await?;
    report.erased = erased.len() as u64;
    if erased.is_empty() {
        return Ok(report);
    }
    let erased = Erased(erased);
    each_stream(places, observe, |stream| in_the_log(&erased, &mut report, stream)).await?;
    rows(places, &erased, &mut report).await?;
    who_may_ask(places, &erased, &mut report).await?;
    for beside in &places.beside {
        let mut after = None;
        loop {
            let (texts, next) = beside.beside(after.as_deref(), PAGE).await?;
            for stored in texts {
                report.look_at(stored.place, 1);
                let said = parsed(&stored.text);
                report.free_texts += u64::from(said.as_str().is_some_and(is_free));
                for id in erased.named_in(&said) {
                    for what in called(&said) {
                        report.find(id, stored.place, &*stored.key, what);
                    }
                }
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
    }
    Ok(report)
}

/// Gives every stream to `look`, and how many events they hold.
async fn each_stream(
    places: &Places,
    observe: Observe<'_>,
    mut look: impl FnMut(&[RecordedEvent]),
) -> Result<u64, StoreError> {
    let (total, mut events, mut cursor) = (places.scan.size().await?, 0, None::<String>);
    loop {
        let page = places.scan.scan(Segment { index: 0, of: 1 }, cursor.as_deref(), EVENTS).await?;
        for stream in &page.streams {
            events += stream.len() as u64;
            look(stream);
            crate::compare::let_others_run().await;
        }
        observe(events, total.max(events));
        cursor = page.next;
        if cursor.is_none() {
            return Ok(events);
        }
    }
}

struct Erased(BTreeSet<CustomerId>);

impl Erased {
    /// Those of them that a text names: by their id, or by the key of their stream.
    fn named_in(&self, said: &Value) -> BTreeSet<&CustomerId> {
        let mut named = BTreeSet::new();
        each_text(said, &mut |text| {
            let id = text.strip_prefix("EVENTS#CUSTOMER_ID#").unwrap_or(text);
            // Of an id that can be none, nobody was erased.
            let id = CustomerId::recorded(id).ok();
            named.extend(id.and_then(|id| self.0.get(&id)));
        });
        named
    }
}

fn in_the_log(erased: &Erased, report: &mut PersonalReport, stream: &[RecordedEvent]) {
    let Some(first) = stream.first() else { return };
    report.look_at("event", stream.len());
    let of_stream = match StreamKey::parse(&first.pk) {
        Some(StreamKey::Customer(id)) => Some(id),
        Some(StreamKey::Order(_)) => project::order_rows(stream).map(|rows| rows.order.customer_id),
        Some(StreamKey::Product(_) | StreamKey::Sku(_)) | None => None,
    };
    let of_stream = of_stream.as_ref().and_then(|id| erased.0.get(id));
    // What follows from a request carries its id, which is one text however often it stands there.
    let mut requests = BTreeSet::new();
    for event in stream {
        let said = parsed(&event.data);
        let mut named = erased.named_in(&said);
        named.extend(of_stream);
        for id in &named {
            for what in called(&said) {
                report.find(id, "event", format!("{} {}", event.pk, event.sk), what);
            }
        }
        if !named.is_empty() {
            report.free_texts += free_texts(event);
            let request = Some(&*event.correlation_id).filter(|id| is_free(id) && !is_made(id));
            report.free_texts += u64::from(request.is_some_and(|id| requests.insert(id)));
        }
    }
}

/// What is written into events by ourselves where somebody may write as they like: who asks, and why.
pub const OURS: [&str; 4] = ["customer", "operator", "oms-log-sweeper", "expired"];

/// Whether somebody wrote something here as they liked.
fn is_free(text: &str) -> bool {
    !text.is_empty() && !OURS.contains(&text)
}

/// Whether an id was made by a machine, and so says nothing: a ULID or a UUID.
fn is_made(id: &str) -> bool {
    let is_uuid = |id: &str| {
        let parts: Vec<&str> = id.split('-').collect();
        let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
        [&[32][..], &[8, 4, 4, 4, 12]].contains(&&lengths[..])
            && parts.concat().bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    // A ULID has 128 bits, so it begins with a digit: no name does.
    (id.starts_with(['0', '1', '2', '3', '4', '5', '6', '7']) && Ulid::from_string(id).is_ok()) || is_uuid(id)
}

/// How many texts an event holds that somebody wrote as they liked.
fn free_texts(event: &RecordedEvent) -> u64 {
    let written = match event.event() {
        Ok(Event::OrderCancelled(cancelled)) => [Some(&*cancelled.reason), Some(&*cancelled.by)],
        Ok(Event::OrderShipped(shipped)) => [shipped.carrier.as_deref(), shipped.tracking.as_deref()],
        Ok(Event::ManualPaymentRecorded(recorded)) => [Some(&*recorded.by), Some(&*recorded.reference)],
        Ok(_) => [None, None],
        // What nobody can read may say anything.
        Err(_) => return 1,
    };
    written.into_iter().flatten().filter(|text| is_free(text)).count() as u64
}

async fn rows(places: &Places, erased: &Erased, report: &mut PersonalReport) -> Result<(), StoreError> {
    for (copy, place) in [(Copy::Live, "customer"), (Copy::Shadow, "rebuilt customer")] {
        let mut after = None::<String>;
        loop {
            let rows = places.rows.rows(View::Customers, copy, after.as_deref(), PAGE).await?;
            report.look_at(place, rows.len());
            for row in &rows {
                let ViewRow::Customer(row) = row else { continue };
                let Personal { name, email, address } = &row.personal;
                for (what, known) in [("name", name), ("email", email), ("address", address)] {
                    if known.is_some() && erased.0.contains(&row.customer_id) {
                        report.find(&row.customer_id, place, row.customer_id.as_str(), what.to_owned());
                    }
                }
            }
            match rows.last() {
                Some(last) if rows.len() == PAGE => after = Some(last.id().to_owned()),
                _ => break,
            }
        }
    }
    Ok(())
}

async fn who_may_ask(
    places: &Places,
    erased: &Erased,
    report: &mut PersonalReport,
) -> Result<(), StoreError> {
    let mut window = Window { limit: PAGE, ..Window::default() };
    loop {
        let Page { rows, next } = places.users.users(&window).await?;
        report.look_at("user", rows.len());
        for row in rows {
            // The name itself may be personal; the id finds it.
            if let Some(id) = row.customer_id.as_ref().filter(|id| erased.0.contains(*id)) {
                report.find(id, "user", row.user_id, "username".to_owned());
            }
        }
        window.after = next;
        if window.after.is_none() {
            break;
        }
    }
    loop {
        let Page { rows, next } = places.keys.keys(&window).await?;
        report.look_at("key", rows.len());
        for row in rows {
            if let Some(id) = row.customer_id.as_ref().filter(|id| erased.0.contains(*id)) {
                report.find(id, "key", row.key_id, "name".to_owned());
            }
        }
        window.after = next;
        if window.after.is_none() {
            return Ok(());
        }
    }
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}

/// Every text in a value; of one that is a document itself, every text in that, too.
fn each_text(value: &Value, look: &mut impl FnMut(&str)) {
    match value {
        Value::String(text) => match nested(text) {
            Some(inner) => each_text(&inner, look),
            None => look(text),
        },
        Value::Array(values) => values.iter().for_each(|value| each_text(value, look)),
        Value::Object(members) => members.values().for_each(|value| each_text(value, look)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn nested(text: &str) -> Option<Value> {
    let is_document = text.starts_with('{') || text.starts_with('[');
    is_document.then(|| serde_json::from_str(text).ok()).flatten()
}

/// What a member is called that says who somebody is, in whatever spelling.
const CALLED: [&str; 9] =
    ["name", "mail", "address", "phone", "street", "birth", "postcode", "zipcode", "passport"];

/// What in a value says who somebody is, by the names of its members.
fn called(value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    search(value, "", &mut found);
    found
}

fn search(value: &Value, at: &str, found: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            if let Some(inner) = nested(text) {
                search(&inner, at, found);
            }
        }
        Value::Array(values) => values.iter().for_each(|value| search(value, at, found)),
        Value::Object(members) => {
            for (name, value) in members {
                let at = format!("{at}/{name}");
                let says_something = match value {
                    Value::String(text) => !text.is_empty() && nested(text).is_none(),
                    Value::Number(_) => true,
                    Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => false,
                };
                if says_something && is_called(name) && !names_a_thing(name, members) {
                    found.push(at);
                } else {
                    search(value, &at, found);
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_called(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    CALLED.iter().any(|called| name.contains(called))
}

/// What has a SKU is a thing, and so is its name; and an event's name is an event's.
fn names_a_thing(name: &str, members: &serde_json::Map<String, Value>) -> bool {
    let has = |member: &str| members.contains_key(member);
    (name == "name" && has("sku")) || name == "event_name" || name == "eventName"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_says_who_somebody_is_is_known_by_what_it_is_called_however_deep_it_stands() {
        let inner =
            json!({ "body": json!({ "eMail": "a@b", "customer": { "homeAddress": "x" } }).to_string() });
        let value =
            json!({ "name": "Ann", "list": [{ "phone": 7 }], "kept": inner.to_string(), "email": null });
        let mut found = called(&value);
        found.sort();
        assert_eq!(found, ["/kept/body/customer/homeAddress", "/kept/body/eMail", "/list/phone", "/name"]);
    }

    #[test]
    fn an_id_that_was_made_says_nothing_and_any_other_may() {
        for made in [
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "0f8fad5b-d9cb-469f-a165-70867728950e",
            "0F8FAD5BD9CB469FA16570867728950E",
        ] {
            assert!(is_made(made), "{made}");
        }
        let name = "ANNAMARGARETAMEYERFRANKENH";
        for given in ["anna", "checkout-4711", "0f8fad5b-d9cb-469f-a165-7086772895", name] {
            assert!(!is_made(given), "{given}");
        }
    }

    #[test]
    fn what_things_and_events_are_called_is_nobodys() {
        let order = json!({ "items": [{ "sku": "lamp", "name": "A lamp" }], "event_name": "OrderPlaced" });
        assert_eq!(called(&order), Vec::<String>::new());
        assert_eq!(called(&json!({ "name": "", "address": {} })), Vec::<String>::new());
    }

    #[test]
    fn who_is_meant_is_known_by_an_id_or_the_key_of_a_stream() {
        let id = |id: &str| CustomerId::parse(id).unwrap();
        let erased = Erased([id("ann-1"), id("bert-1")].into());
        let named = |value: Value| erased.named_in(&value).into_iter().cloned().collect::<Vec<_>>();
        assert_eq!(named(json!({ "pk": "EVENTS#CUSTOMER_ID#ann-1" })), [id("ann-1")]);
        assert_eq!(
            named(json!([{ "data": r#"{"customer_id":"bert-1"}"# }, "ann-1"])),
            [id("ann-1"), id("bert-1")]
        );
        assert_eq!(named(json!({ "customer_id": "cid-1", "note": "for ann-1" })), []);
    }
}
