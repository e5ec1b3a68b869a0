//! The table of routes: what is registered is recorded, so that the two cannot differ.

use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{MethodRouter, delete, get, patch, post};

use crate::Api;
use crate::access::Needs;
use crate::openapi::{Arguments, Operation};

/// Routes, and the router that serves them.
#[derive(Default)]
pub(crate) struct Table {
    pub(crate) router: Router<Arc<Api>>,
    pub(crate) routes: Vec<Route>,
}

/// One entry of the table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) query: Query,
    pub(crate) needs: Needs,
    /// What its handler's arguments say of the requests that it takes.
    pub(crate) asks: Says,
    /// What else is said of it.
    pub(crate) says: Says,
}

/// Says something of a route.
pub(crate) type Says = fn(&mut Operation);

/// What becomes of a query string.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Query {
    /// The route takes none; one that is sent is refused before the handler runs.
    Refused,
    /// The handler reads it, and refuses what it does not know.
    Read,
    /// Nobody looks at it.
    Ignored,
}

impl Route {
    /// Whether its answers are kept for those who ask again under the same `Idempotency-Key`. Routes of the
    /// compatibility API have natural keys of their own and answer as the older system did. Of a request with a password
    /// nothing is kept, not even what it can be compared with: logging in changes nothing, and registering again with
    /// the same name and password is one registration anyway.
    pub(crate) fn is_kept(&self) -> bool {
        self.query != Query::Ignored && ![LOGIN, USERS].contains(&self.path)
    }
}

/// Where people log in.
pub(crate) const LOGIN: &str = "/login";
/// Where people register.
pub(crate) const USERS: &str = "/users";

impl Table {
    pub(crate) fn get<H: Handler<T, Arc<Api>>, T: Arguments + 'static>(
        self,
        needs: Needs,
        path: &'static str,
        handler: H,
        says: Says,
    ) -> Self {
        self.on(needs, ("GET", path), Query::Refused, get(handler), (T::ask, says))
    }

    /// A GET whose handler takes a [`crate::paging::Wanted`].
    pub(crate) fn list<H: Handler<T, Arc<Api>>, T: Arguments + 'static>(
        self,
        needs: Needs,
        path: &'static str,
        handler: H,
        says: Says,
    ) -> Self {
        self.on(needs, ("GET", path), Query::Read, get(handler), (T::ask, says))
    }

    pub(crate) fn post<H: Handler<T, Arc<Api>>, T: Arguments + 'static>(
        self,
        needs: Needs,
        path: &'static str,
        handler: H,
        says: Says,
    ) -> Self {
        self.on(needs, ("POST", path), Query::Refused, post(handler), (T::ask, says))
    }

    /// A POST of the compatibility API.
    pub(crate) fn compat<H: Handler<T, Arc<Api>>, T: Arguments + 'static>(
        self,
        needs: Needs,
        path: &'static str,
        handler: H,
        says: Says,
    ) -> Self {
        self.on(needs, ("POST", path), Query::Ignored, post(handler), (T::ask, says))
    }

    pub(crate) fn patch<H: Handler<T, Arc<Api>>, T: Arguments + 'static>(
        self,
        needs: Needs,
        path: &'static str,
        handler: H,
        says: Says,
    ) -> Self {
        self.on(needs, ("PATCH", path), Query::Refused, patch(handler), (T::ask, says))
    }

    pub(crate) fn delete<H: Handler<T, Arc<Api>>, T: Arguments + 'static>(
        self,
        needs: Needs,
        path: &'static str,
        handler: H,
        says: Says,
    ) -> Self {
        self.on(needs, ("DELETE", path), Query::Refused, delete(handler), (T::ask, says))
    }

    fn on(
        mut self,
        needs: Needs,
        (method, path): (&'static str, &'static str),
        query: Query,
        handler: MethodRouter<Arc<Api>>,
        (asks, says): (Says, Says),
    ) -> Self {
        self.router = self.router.route(path, handler);
        self.routes.push(Route { method, path, query, needs, asks, says });
        self
    }
}
