//! How many requests each caller may send: a bucket of each, which every request takes from and which refills evenly.
//!
//! A bucket and not a window that starts over: there is no moment at which everybody begins again, what is left is one
//! number for each caller, and whoever asks evenly is never refused. In no window of a policy can twice its quota be
//! exceeded, which holds for windows that start over too. Source of the headers: draft-ietf-httpapi-ratelimit-headers-10.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};

use auth::Principal;
use axum::http::{Extensions, HeaderMap, HeaderName, HeaderValue, StatusCode};
use event_store::Role;
use events::Timestamp;

use crate::problem::Problem;

/// So many requests within a while; so many at once, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    requests: i64,
    /// In seconds.
    window: i64,
}

/// A text that is no [`Rate`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must be a number of requests from 1 to 1000000 for each s, m or h, such as 100/s")]
pub struct BadRate;

impl FromStr for Rate {
    type Err = BadRate;

    /// `100/s`, `600/m`, `5000/h`.
    fn from_str(text: &str) -> Result<Rate, BadRate> {
        let (requests, unit) = text.split_once('/').ok_or(BadRate)?;
        let window = match unit {
            "s" => 1,
            "m" => 60,
            "h" => 3_600,
            _ => return Err(BadRate),
        };
        let requests = requests.parse().ok().filter(|requests| (1..=1_000_000).contains(requests));
        Ok(Rate { requests: requests.ok_or(BadRate)?, window })
    }
}

impl Rate {
    /// In this many microseconds a bucket is full again.
    fn capacity(self) -> i64 {
        self.interval() * self.requests
    }

    /// In this many microseconds there is one request more.
    fn interval(self) -> i64 {
        (self.window * 1_000_000 / self.requests).max(1)
    }
}

/// The address that a request comes from, where whoever serves it knows: travels as an extension of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin(pub IpAddr);

impl Origin {
    /// Who is one caller: an address, or of IPv6 the network that is given to one household.
    pub(crate) fn of(extensions: &Extensions) -> String {
        match extensions.get::<Origin>() {
            None => "somewhere".to_owned(),
            Some(Origin(IpAddr::V4(address))) => address.to_string(),
            Some(Origin(IpAddr::V6(address))) => match address.to_ipv4_mapped() {
                Some(address) => address.to_string(),
                None => format!("{:x}/64", address.to_bits() >> 64),
            },
        }
    }
}

/// What everybody who is limited has left.
pub struct Limits {
    rate: Option<Rate>,
    /// When the bucket of each is full again, in microseconds since 1970. Who is not here has a full one.
    full_at: Mutex<BTreeMap<String, i64>>,
}

/// So many callers are remembered at most.
const MOST: usize = 10_000;

/// What a caller has left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Standing {
    rate: Rate,
    left: i64,
    /// In how many seconds it is all there again; where nothing is left, in how many there is one.
    reset: i64,
    is_over: bool,
}

impl Limits {
    /// With a rate, everybody but admins has as much; without one, nobody is limited.
    pub fn new(rate: Option<Rate>) -> Limits {
        Limits { rate, full_at: Mutex::default() }
    }

    /// Whether anybody is limited.
    pub(crate) fn are_on(&self) -> bool {
        self.rate.is_some()
    }

    /// Takes one request from what a caller has left; `None` for those who are not limited.
    pub(crate) fn take(&self, principal: &Principal, origin: &str, now: Timestamp) -> Option<Standing> {
        let rate = self.rate?;
        let whose = bucket(principal, origin)?;
        let now = now.millis().saturating_mul(1_000);
        let (capacity, interval) = (rate.capacity(), rate.interval());
        let mut full_at = self.full_at.lock().unwrap_or_else(PoisonError::into_inner);
        // A clock that was set back must not keep anybody out for longer than an empty bucket does.
        let before = full_at.get(&whose).map_or(now, |at| (*at).clamp(now, now + capacity));
        let is_over = before + interval > now + capacity;
        let after = if is_over { before } else { before + interval };
        make_room(&mut full_at, now);
        full_at.insert(whose, after);
        let left = (now + capacity - after) / interval;
        let wait = if left > 0 { after - now } else { after + interval - capacity - now };
        Some(Standing { rate, left, reset: (wait.max(1) + 999_999) / 1_000_000, is_over })
    }
}

/// Forgets those whose buckets are full again; if that is not enough, the half whose buckets are fullest.
fn make_room(full_at: &mut BTreeMap<String, i64>, now: i64) {
    if full_at.len() < MOST {
        return;
    }
    full_at.retain(|_, at| *at > now);
    if full_at.len() >= MOST {
        let mut ends: Vec<i64> = full_at.values().copied().collect();
        let (_, middle, _) = ends.select_nth_unstable(MOST / 2);
        full_at.retain(|_, at| *at > *middle);
    }
}

/// Whose bucket a request takes from: a customer has one, whatever they show; nobody has one for each address that they
/// come from. Admins have none: they could make themselves as many keys as they like, and operate what others use up.
fn bucket(principal: &Principal, origin: &str) -> Option<String> {
    match (principal.role, &principal.customer_id) {
        (Some(Role::Admin), _) => None,
        (Some(_), Some(customer)) => Some(format!("customer:{customer}")),
        (Some(_), None) => Some(principal.id.clone()),
        (None, _) => Some(format!("nobody at {origin}")),
    }
}

const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");
const STANDING: HeaderName = HeaderName::from_static("ratelimit");

impl Standing {
    /// Refuses what is too much.
    pub(crate) fn check(self) -> Result<(), Problem> {
        if !self.is_over {
            return Ok(());
        }
        let detail = format!("too many requests; send the next one in {} s", self.reset);
        let problem = Problem::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", detail);
        Err(problem.with("violated-policies", vec!["caller"]).retry_after(self.reset.unsigned_abs()))
    }

    /// Tells the caller.
    pub(crate) fn tell(self, headers: &mut HeaderMap) {
        let Standing { rate: Rate { requests, window }, left, reset, .. } = self;
        let header = |text: String| HeaderValue::try_from(text).expect("a name and digits");
        headers.insert(POLICY, header(format!(r#""caller";q={requests};w={window}"#)));
        headers.insert(STANDING, header(format!(r#""caller";r={left};t={reset}"#)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(rate: &str) -> Limits {
        Limits::new(Some(rate.parse().unwrap()))
    }

    fn nobody(limits: &Limits, origin: &str, millis: i64) -> (i64, i64, bool) {
        let standing = limits.take(&Principal::nobody(), origin, Timestamp::from_millis(millis)).unwrap();
        (standing.left, standing.reset, standing.is_over)
    }

    #[test]
    fn a_bucket_is_emptied_at_once_and_refills_evenly() {
        let limits = limits("4/m");
        let at = |seconds: i64| nobody(&limits, "here", 1_000_000 + seconds * 1_000);
        assert_eq!([at(0), at(0), at(0)], [(3, 15, false), (2, 30, false), (1, 45, false)]);
        assert_eq!(at(0), (0, 15, false), "the last of four, and the next in a quarter of a minute");
        assert_eq!([at(0), at(14)], [(0, 15, true), (0, 1, true)], "what is refused takes nothing");
        assert_eq!(at(15), (0, 15, false));
        assert_eq!(at(75), (3, 15, false), "after a minute of nothing it is full");
        assert_eq!(at(1_000), (3, 15, false), "and never fuller");
    }

    #[test]
    fn whoever_asks_evenly_is_never_refused() {
        let limits = limits("100/s");
        assert!((0..10_000).all(|n| !nobody(&limits, "here", n * 10).2));
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nobody_out_for_longer_than_an_empty_bucket_does() {
        let limits = limits("2/m");
        (0..2).for_each(|_| assert!(!nobody(&limits, "here", 9_000_000_000).2));
        assert_eq!(nobody(&limits, "here", 0), (0, 30, true));
        assert_eq!(nobody(&limits, "here", 30_000), (0, 30, false), "as if it had been emptied just then");
        let back = |at| nobody(&limits, "there", at).2;
        assert_eq!([back(60_000), back(60_000), back(60_000), back(90_000)], [false, false, true, false]);
    }

    #[test]
    fn no_more_callers_are_remembered_than_there_is_room_for_and_who_sent_most_is_not_forgotten() {
        let limits = limits("3/h");
        (0..3).for_each(|_| assert!(!nobody(&limits, "greedy", 0).2));
        (0..25_000).for_each(|n| assert!(!nobody(&limits, &n.to_string(), n).2));
        assert!(limits.full_at.lock().unwrap().len() <= MOST);
        assert!(nobody(&limits, "greedy", 25_000).2);
    }

    #[test]
    fn a_customer_has_one_bucket_whatever_they_show_and_an_admin_has_none() {
        let anna = |id: &str| Principal {
            id: id.into(),
            role: Some(Role::Customer),
            customer_id: Some(events::CustomerId::parse("anna-1").unwrap()),
        };
        let operator = Principal { id: "key:1".into(), role: Some(Role::Operator), customer_id: None };
        assert_eq!(bucket(&anna("key:a"), "x"), bucket(&anna("user:b"), "y"));
        assert_eq!(bucket(&operator, "x").as_deref(), Some("key:1"));
        assert_eq!(bucket(&Principal::anyone(), "x"), None);
    }

    #[test]
    fn an_address_of_ipv6_stands_for_its_network() {
        let of = |address: &str| {
            let mut extensions = Extensions::new();
            extensions.insert(Origin(address.parse().unwrap()));
            Origin::of(&extensions)
        };
        assert_eq!(of("2001:db8:1:2:3::4"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::1"), of("2001:db8:1:3::1"));
        assert_eq!([of("192.0.2.1"), of("::ffff:192.0.2.1")], ["192.0.2.1", "192.0.2.1"]);
    }

    #[test]
    fn a_rate_says_how_many_in_what() {
        let rate = |text: &str| text.parse::<Rate>().map(|rate| (rate.requests, rate.window));
        assert_eq!(
            [rate("100/s"), rate("600/m"), rate("1/h")],
            [Ok((100, 1)), Ok((600, 60)), Ok((1, 3_600))]
        );
        for bad in ["", "100", "100/", "/s", "0/s", "-1/s", "1000001/s", "1.5/s", "100/d", "100 /s"] {
            assert_eq!(rate(bad), Err(BadRate), "{bad}");
        }
    }
}
