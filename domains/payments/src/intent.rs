//! The gateway's side of one order's payment: an intent that is charged at most once.

use events::Money;
use serde::{Deserialize, Serialize};

/// A payment intent, one per order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// Where it stands.
    pub state: State,
    /// How often a charge was asked for.
    pub calls: u32,
    /// How often money was really taken. More than 1 would be a double charge.
    pub charges: u32,
    /// What was taken.
    pub amount: Option<Money>,
}

/// Where an intent stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing is decided.
    #[default]
    Open,
    /// Money was taken.
    Charged,
    /// The gateway said no for good.
    Declined,
    /// It was closed before money was taken; it never will be.
    Cancelled,
    /// Money was taken and given back.
    Refunded,
}

/// What a charge came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charge {
    /// The money is taken, now or by an earlier call.
    Charged,
    /// The gateway says no, for good.
    Declined(&'static str),
    /// The intent was closed before.
    Refused,
    /// Nothing happened; the same call may succeed later.
    Failed,
}

/// From this amount on the built-in gateway declines; so it does for nothing at all.
/// Source: the compatibility API's rule.
pub const DECLINED_FROM_MINOR: i64 = 10_000_000;

impl Intent {
    /// Asks for the money. Repeated, it answers its first outcome. `fails` says whether this call,
    /// if it decides anything, fails on the way.
    pub fn charge(&mut self, amount: Money, fails: bool) -> Charge {
        self.calls += 1;
        match self.state {
            State::Charged => Charge::Charged,
            State::Declined => Charge::Declined(decline_reason(amount).unwrap_or("declined")),
            State::Cancelled | State::Refunded => Charge::Refused,
            State::Open if fails => Charge::Failed,
            State::Open => match decline_reason(amount) {
                Some(reason) => {
                    self.state = State::Declined;
                    Charge::Declined(reason)
                }
                None => {
                    self.state = State::Charged;
                    self.charges += 1;
                    self.amount = Some(amount);
                    Charge::Charged
                }
            },
        }
    }

    /// Closes the intent for good and says whether money had been taken.
    pub fn cancel(&mut self) -> bool {
        match self.state {
            State::Charged => true,
            State::Refunded | State::Declined | State::Cancelled => false,
            State::Open => {
                self.state = State::Cancelled;
                false
            }
        }
    }

    /// Gives the money back, if it was taken and not given back yet; closes the intent if it was not
    /// taken, so that it never will be: only a forged payment asks for that.
    pub fn refund(&mut self) {
        match self.state {
            State::Charged => self.state = State::Refunded,
            State::Open => self.state = State::Cancelled,
            State::Declined | State::Cancelled | State::Refunded => {}
        }
    }
}

fn decline_reason(amount: Money) -> Option<&'static str> {
    match amount.minor() {
        0 => Some("amount_is_zero"),
        minor if minor >= DECLINED_FROM_MINOR => Some("amount_too_large"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(minor: i64) -> Money {
        Money::from_minor(minor).unwrap()
    }

    #[test]
    fn a_repeated_charge_takes_money_once() {
        let mut intent = Intent::default();
        assert_eq!(intent.charge(money(500), true), Charge::Failed);
        assert_eq!(intent.charge(money(500), false), Charge::Charged);
        assert_eq!(intent.charge(money(500), false), Charge::Charged);
        assert_eq!((intent.calls, intent.charges), (3, 1));
    }

    #[test]
    fn a_closed_intent_is_never_charged() {
        let mut intent = Intent::default();
        assert!(!intent.cancel());
        assert_eq!(intent.charge(money(500), false), Charge::Refused);
        assert_eq!(intent.charges, 0);
    }

    #[test]
    fn closing_tells_that_money_had_been_taken_and_refunding_twice_is_refunding_once() {
        let mut intent = Intent::default();
        intent.charge(money(500), false);
        assert!(intent.cancel());
        intent.refund();
        intent.refund();
        assert_eq!(intent.state, State::Refunded);
        assert!(!intent.cancel());
    }

    #[test]
    fn an_intent_that_is_refunded_without_having_been_charged_is_never_charged() {
        let mut intent = Intent::default();
        intent.refund();
        assert_eq!((intent.charge(money(500), false), intent.charges), (Charge::Refused, 0));
    }

    #[test]
    fn nothing_and_a_hundred_thousand_are_declined() {
        for (minor, declined) in [(0, true), (1, false), (9_999_999, false), (10_000_000, true)] {
            let outcome = Intent::default().charge(money(minor), false);
            assert_eq!(matches!(outcome, Charge::Declined(_)), declined, "{minor}");
        }
    }
}
