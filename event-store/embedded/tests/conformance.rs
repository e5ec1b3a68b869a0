//! The embedded store passes every suite.

use event_store_embedded::EmbeddedStore;

event_store::conformance!(EmbeddedStore::temporary());
event_store::access_conformance!(EmbeddedStore::temporary());
