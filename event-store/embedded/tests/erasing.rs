//! What is erased is in no byte of the store's files.

use std::path::Path;

use event_store::{Added, CatalogViews, CustomerRow, Personal, Role, User, UserRow, Users};
use event_store_embedded::EmbeddedStore;
use events::{CustomerId, Timestamp};

/// Too long for a page: what does not fit is in pages of its own, which are free once it is gone.
fn long(canary: &str) -> String {
    format!("{canary} ").repeat(600)
}

fn row(id: &CustomerId, seen: u32) -> CustomerRow {
    CustomerRow {
        customer_id: id.clone(),
        seen,
        personal: Personal::default(),
        erased: seen > 1,
        created_at: Timestamp::from_millis(0),
        updated_at: Timestamp::from_millis(0),
    }
}

fn stands_in(folder: &Path, canary: &str) -> Vec<String> {
    let files =
        std::fs::read_dir(folder).expect("the folder is there").map(|file| file.expect("a file").path());
    let holds = |path: &std::path::PathBuf| {
        let bytes = std::fs::read(path).expect("a file of the store");
        bytes.windows(canary.len()).any(|window| window == canary.as_bytes())
    };
    files.filter(holds).map(|path| path.display().to_string()).collect()
}

#[tokio::test]
async fn who_was_erased_is_in_no_byte_of_the_stores_files_though_it_stays_open() {
    let folder = tempfile::tempdir().expect("a folder for temporary files");
    let store = EmbeddedStore::open(folder.path()).expect("an empty folder is opened");
    let (erased, kept) = ("canary-of-the-erased", "canary-of-the-kept");
    for n in 0..40 {
        let canary = if n % 2 == 0 { erased } else { kept };
        let id = CustomerId::parse(&format!("cust-{n}")).expect("an id");
        store.put_customer(row(&id, 1)).await.expect("it is written");
        for address in [long(canary), canary.to_owned()] {
            let is_first = address.len() > canary.len();
            let personal = Personal { name: Some(canary.into()), email: None, address: Some(address) };
            assert_eq!(store.put_personal(&id, personal).await, Ok(is_first));
        }
        let row = UserRow {
            username: format!("{canary}{n}@example.org"),
            user_id: format!("usr-{n}"),
            role: Role::Customer,
            customer_id: Some(id),
            created_at: Timestamp::from_millis(n),
        };
        assert_eq!(
            store.add_user(User { row, password_hash: format!("hash of {canary}") }).await,
            Ok(Added::New)
        );
    }
    assert!(!stands_in(folder.path(), erased).is_empty());
    for n in (0..40).step_by(2) {
        let id = CustomerId::parse(&format!("cust-{n}")).expect("an id");
        store.put_customer(row(&id, 2)).await.expect("it is written");
        assert_eq!(store.forget_customer(&id).await.expect("it is written").usernames.len(), 1);
    }
    assert_eq!(stands_in(folder.path(), erased), Vec::<String>::new());
    assert!(!stands_in(folder.path(), kept).is_empty(), "the others are still there");
}
