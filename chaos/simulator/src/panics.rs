//! A panic of the code that a run runs: the run's failure, in words, and not the end of the simulator.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, PanicHookInfo, catch_unwind, set_hook, take_hook};
use std::sync::Once;

thread_local! {
    /// Whether what this thread runs now may panic.
    static MAY_PANIC: Cell<bool> = const { Cell::new(false) };
    static SAID: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs something that may panic; gives the panic's place and message if it does, and prints nothing of it.
///
/// Panics anywhere else in the process, and one on the way out of another, which ends the process, are told as ever.
///
/// # Errors
/// It panicked.
pub fn caught<T>(run: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let others = take_hook();
        set_hook(Box::new(move |panic| {
            let is_first = SAID.with_borrow(Option::is_none);
            if MAY_PANIC.get() && is_first {
                SAID.set(Some(words(panic)));
            } else {
                others(panic);
            }
        }));
    });
    SAID.take();
    let before = MAY_PANIC.replace(true);
    let done = catch_unwind(AssertUnwindSafe(run));
    MAY_PANIC.set(before);
    done.map_err(|_| SAID.take().unwrap_or_else(|| "panicked".to_owned()))
}

fn words(panic: &PanicHookInfo<'_>) -> String {
    let place = panic.location().map_or(String::new(), |place| format!(" at {place}"));
    format!("panicked{place}: {}", panic.payload_as_str().unwrap_or("without words"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_is_told_with_its_place_and_its_words() {
        let (line, units) = (line!() + 1, 3);
        let said = caught(|| panic!("{units} units of nothing"));
        assert_eq!(said, Err::<(), _>(format!("panicked at {}:{line}:30: 3 units of nothing", file!())));
    }

    #[test]
    fn a_second_panic_is_caught_as_the_first_one_was() {
        for _ in 0..2 {
            assert!(caught(|| panic!("again")).is_err_and(|said| said.ends_with(": again")));
        }
        assert_eq!(caught(|| 1), Ok(1));
    }
}
