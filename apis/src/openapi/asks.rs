//! What a handler's arguments say of the requests that it takes.

use std::sync::Arc;

use axum::extract::State;

use super::Operation;
use crate::Api;
use crate::request::Caller;

/// An extractor that says what it takes from a request, and how it refuses one.
pub(crate) trait Asks {
    /// Says it.
    fn ask(operation: &mut Operation);
}

/// All arguments of a handler: the type by which axum tells handlers apart.
pub(crate) trait Arguments {
    /// What each of them says.
    fn ask(operation: &mut Operation);
}

macro_rules! arguments {
    ($(($($argument:ident)*))+) => {$(
        impl<M, $($argument: Asks),*> Arguments for (M, $($argument,)*) {
            fn ask(operation: &mut Operation) {
                let _ = &operation;
                $($argument::ask(operation);)*
            }
        }
    )+};
}

arguments! { () (A) (A B) (A B C) (A B C D) (A B C D E) }

/// Whoever asks a store may not get an answer.
impl Asks for State<Arc<Api>> {
    fn ask(operation: &mut Operation) {
        operation.may_be_unavailable();
    }
}

/// Who asks is found out around every route, and said there.
impl Asks for Caller {
    fn ask(_: &mut Operation) {}
}

impl<T: Asks, E> Asks for Result<T, E> {
    fn ask(operation: &mut Operation) {
        T::ask(operation);
    }
}
