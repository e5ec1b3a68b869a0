//! What must hold of [`Users`](crate::Users), [`Keys`](crate::Keys), [`Secrets`](crate::Secrets) and
//! [`Tries`](crate::Tries).

use futures_util::future::join_all;

use super::Access;
use super::catalog_views::{customer, customer_id};
use super::given::{second, soon_listed};
use super::order_views::IDS;
use crate::access::{Added, Allowance, Forgotten, Key, KeyRow, Role, User, UserRow};
use crate::rows::CustomerRow;
use crate::views::{After, Page, Window};

pub async fn who_was_never_added_is_not_there(access: &dyn Access) {
    assert_eq!(access.user("ann").await, Ok(None));
    assert_eq!(access.key("k-1").await, Ok(None));
    assert_eq!(access.revoke_key("k-1", second(1)).await, Ok(None));
    let window = Window { limit: 10, ..Window::default() };
    assert_eq!(access.users(&window).await, Ok(Page { rows: Vec::new(), next: None }));
    assert_eq!(access.keys(&window).await, Ok(Page { rows: Vec::new(), next: None }));
}

pub async fn a_name_is_given_once(access: &dyn Access) {
    let users = (0..20).map(|n| access.add_user(user("ann", n)));
    let added = join_all(users).await;
    let winners: Vec<u64> = (0..20).filter(|n| added[*n as usize] == Ok(Added::New)).collect();
    let [winner] = winners[..] else { panic!("{winners:?} were added") };
    assert_eq!(access.user("ann").await, Ok(Some(user("ann", winner))));
}

pub async fn a_user_comes_back_as_it_was_added(access: &dyn Access) {
    let customer = User {
        row: UserRow {
            role: Role::Customer,
            customer_id: Some(customer_id("cus-1")),
            ..user("ann@example.org", 1).row
        },
        ..user("", 1)
    };
    for user in [customer, user("bob", 2), user("bo b'ü#", 3)] {
        assert_eq!(access.add_user(user.clone()).await, Ok(Added::New));
        assert_eq!(access.user(&user.row.username).await, Ok(Some(user)));
    }
    assert_eq!(access.user("Bob").await, Ok(None));
}

pub async fn users_and_keys_are_listed_by_time_and_key_page_by_page(access: &dyn Access) {
    let (mut users, mut keys) = (Vec::new(), Vec::new());
    for (n, id) in (0..).zip(IDS) {
        assert_eq!(access.add_user(user(id, n / 3)).await, Ok(Added::New));
        assert_eq!(access.add_key(key(id, n / 2)).await, Ok(Added::New));
        users.push(user(id, n / 3).row);
        keys.push(key(id, n / 2).row);
    }
    let place = |row: &UserRow| After { created_at: row.created_at, id: row.username.clone() };
    soon_listed("users", users, &[1, 3, 12, 13], place, async |window| access.users(&window).await.unwrap())
        .await;
    let place = |row: &KeyRow| After { created_at: row.created_at, id: row.key_id.clone() };
    soon_listed("keys", keys, &[1, 3, 12, 13], place, async |window| access.keys(&window).await.unwrap())
        .await;
}

pub async fn a_key_is_revoked_once_and_for_all(access: &dyn Access) {
    assert_eq!(access.add_key(key("k-1", 1)).await, Ok(Added::New));
    assert_eq!(access.add_key(key("k-2", 1)).await, Ok(Added::New));
    assert_eq!(access.add_key(key("k-1", 2)).await, Ok(Added::Taken));
    assert_eq!(access.key("k-1").await, Ok(Some(key("k-1", 1))));
    let revoked = KeyRow { revoked_at: Some(second(5)), ..key("k-1", 1).row };
    for at in [5, 6] {
        assert_eq!(access.revoke_key("k-1", second(at)).await, Ok(Some(revoked.clone())));
        assert_eq!(access.key("k-1").await, Ok(Some(Key { row: revoked.clone(), ..key("k-1", 1) })));
    }
    assert_eq!(access.key("k-2").await, Ok(Some(key("k-2", 1))));
}

pub async fn a_user_who_is_removed_is_gone_and_the_name_is_free(access: &dyn Access) {
    let mut ann = user("ann", 1);
    ann.row.customer_id = Some(customer_id("cus-1"));
    for one in [ann.clone(), user("bob", 2)] {
        assert_eq!(access.add_user(one).await, Ok(Added::New));
    }
    assert_eq!(access.remove_user("ann").await, Ok(Some(ann.row)));
    assert_eq!(access.remove_user("ann").await, Ok(None));
    assert_eq!(access.user("ann").await, Ok(None));
    let place = |row: &UserRow| After { created_at: row.created_at, id: row.username.clone() };
    let list = async |window: Window| access.users(&window).await.unwrap();
    soon_listed("users", vec![user("bob", 2).row], &[1, 3], place, list).await;
    // Who has the name next has nothing to do with whoever had it.
    assert_eq!(access.add_user(user("ann", 3)).await, Ok(Added::New));
    assert_eq!(access.forget_customer(&customer_id("cus-1")).await, Ok(Forgotten::default()));
    assert_eq!(access.user("ann").await, Ok(Some(user("ann", 3))));
}

pub async fn a_customer_is_forgotten_with_every_user_and_key(access: &dyn Access) {
    let of = |customer: &str| Some(customer_id(customer));
    for (n, (name, customer)) in (0..).zip([("ann", "cus-1"), ("bob", "cus-2"), ("cid", "cus-1")]) {
        let mut user = user(name, n);
        user.row.customer_id = of(customer);
        access.add_user(user).await.unwrap();
        let mut key = key(name, n);
        key.row.customer_id = of(customer);
        access.add_key(key).await.unwrap();
    }
    access.add_user(user("operator", 9)).await.unwrap();
    let forget = async |customer: &str| {
        let mut forgotten = access.forget_customer(&customer_id(customer)).await.unwrap();
        forgotten.usernames.sort();
        forgotten.key_ids.sort();
        forgotten
    };
    let named = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let both = || named(&["ann", "cid"]);
    assert_eq!(forget("cus-1").await, Forgotten { usernames: both(), key_ids: both() });
    assert_eq!(forget("cus-1").await, Forgotten::default());
    for (name, is_there) in [("ann", false), ("bob", true), ("cid", false)] {
        assert_eq!(access.user(name).await.unwrap().is_some(), is_there, "{name}");
        assert_eq!(access.key(name).await.unwrap().is_some(), is_there, "{name}");
    }
    assert!(access.user("operator").await.unwrap().is_some());
    // A name that is free again is whose it is from then on.
    let mut ann = user("ann", 10);
    ann.row.customer_id = of("cus-2");
    assert_eq!(access.add_user(ann).await, Ok(Added::New));
    assert_eq!(forget("cus-1").await, Forgotten::default());
    let last = Forgotten { usernames: named(&["ann", "bob"]), key_ids: named(&["bob"]) };
    assert_eq!(forget("cus-2").await, last);
}

pub async fn nobody_is_added_who_would_act_for_an_erased_customer(access: &dyn Access) {
    let acting = |name: &str, n| {
        let (mut user, mut key) = (user(name, n), key(name, n));
        user.row.customer_id = Some(customer_id("ada"));
        key.row.customer_id = Some(customer_id("ada"));
        (user, key)
    };
    let add = async |name: &str, n| {
        let (user, key) = acting(name, n);
        [access.add_user(user).await.unwrap(), access.add_key(key).await.unwrap()]
    };
    // Of whom nothing is known yet somebody may come to know.
    assert_eq!(add("early", 1).await, [Added::New; 2]);
    access.put_customer(customer("ada", 1, 1)).await.unwrap();
    access.put_customer(customer("bob", 1, 1)).await.unwrap();
    assert_eq!(add("usual", 2).await, [Added::New; 2]);
    let erased = CustomerRow { erased: true, ..customer("ada", 2, 1) };
    access.put_customer(erased).await.unwrap();
    assert_eq!(add("late", 3).await, [Added::Erased; 2]);
    assert_eq!(add("usual", 4).await, [Added::Erased; 2]);
    assert_eq!((access.user("late").await, access.key("late").await), (Ok(None), Ok(None)));
    access.forget_customer(&customer_id("ada")).await.unwrap();
    assert_eq!(add("usual", 5).await, [Added::Erased; 2]);
    // Of others, and of nobody, they are added as ever.
    let (mut user, key) = (user("bob", 6), key("nobody", 6));
    user.row.customer_id = Some(customer_id("bob"));
    assert_eq!((access.add_user(user).await, access.add_key(key).await), (Ok(Added::New), Ok(Added::New)));
}

pub async fn the_first_secret_that_is_offered_stays(access: &dyn Access) {
    assert_eq!(access.known_secret("tokens").await, Ok(None));
    let offers = join_all((0..10).map(|n| access.secret("tokens", [n; 32]))).await;
    let first = offers[0].clone().unwrap();
    assert!(offers.iter().all(|secret| *secret == Ok(first)), "{offers:?}");
    assert_eq!(access.secret("tokens", [99; 32]).await, Ok(first));
    assert_eq!(access.known_secret("tokens").await, Ok(Some(first)));
    assert_eq!(access.secret("cursors", [98; 32]).await, Ok([98; 32]));
}

pub async fn no_more_tries_are_given_than_there_are(access: &dyn Access) {
    let allowance = Allowance { each: 3, all: 100, within: 10_000 };
    let tries = join_all((0..12).map(|_| access.take_try("ann", "here", allowance, second(1)))).await;
    assert_eq!(tries.iter().filter(|found| **found == Ok(None)).count(), 3, "{tries:?}");
    let until = Ok(Some(second(11)));
    assert_eq!(tries.iter().filter(|found| **found == until).count(), 9, "{tries:?}");
    assert_eq!(access.take_try("bob", "here", allowance, second(1)).await, Ok(None));
}

pub async fn who_tries_elsewhere_has_tries_of_their_own_and_all_of_them_together_not_too_many(
    access: &dyn Access,
) {
    let allowance = Allowance { each: 2, all: 5, within: 10_000 };
    let mut found = Vec::new();
    for (at, by) in
        [(1, "here"), (2, "here"), (3, "here"), (4, "there"), (5, "there"), (6, "third"), (7, "fourth")]
    {
        found.push(access.take_try("ann", by, allowance, second(at)).await.unwrap());
    }
    let again = |at| Some(second(at));
    assert_eq!(found, [None, None, again(11), None, None, None, again(11)]);
}

pub async fn tries_that_are_forgotten_are_there_again(access: &dyn Access) {
    let allowance = Allowance { each: 1, all: 100, within: 10_000 };
    for name in ["ann", "bob"] {
        assert_eq!(access.take_try(name, "here", allowance, second(1)).await, Ok(None));
    }
    access.forget_tries("ann", second(1)).await.unwrap();
    assert_eq!(access.take_try("ann", "here", allowance, second(2)).await, Ok(None));
    assert_eq!(access.take_try("bob", "here", allowance, second(2)).await, Ok(Some(second(11))));
    access.forget_tries("cid", second(3)).await.unwrap();
}

pub async fn a_try_is_given_again_when_the_oldest_is_forgotten(access: &dyn Access) {
    let allowance = Allowance { each: 2, all: 100, within: 10_000 };
    let mut found = Vec::new();
    for at in [1, 5, 6, 10, 11, 12, 15, 16] {
        found.push(access.take_try("ann", "here", allowance, second(at)).await.unwrap());
    }
    let again = |at| Some(second(at));
    assert_eq!(found, [None, None, again(11), again(11), None, again(15), None, again(21)]);
}

fn user(name: &str, n: u64) -> User {
    let row = UserRow {
        username: name.into(),
        user_id: format!("usr-{n}"),
        role: Role::Operator,
        customer_id: None,
        created_at: second(n),
    };
    User { row, password_hash: format!("$argon2id${n}") }
}

fn key(id: &str, n: u64) -> Key {
    let row = KeyRow {
        key_id: id.into(),
        name: format!("key {n}"),
        role: Role::Admin,
        customer_id: None,
        created_at: second(n),
        revoked_at: None,
    };
    Key { row, secret_hash: format!("{n:064x}") }
}
