//! What must hold of [`CatalogViews`].

use events::{CustomerId, ProductId};
use futures_util::future::{join, join_all};

use super::given::{euro, euros, second, sku, soon, soon_listed};
use super::order_views::IDS;
use crate::rows::{CustomerRow, Personal, ProductRow};
use crate::views::{After, CatalogViews, Page, Window};

pub async fn what_was_never_written_is_not_there(views: &dyn CatalogViews) {
    assert_eq!(views.customer(&customer_id("ada")).await, Ok(None));
    assert_eq!(views.product(&product_id("p-1")).await, Ok(None));
    assert_eq!(views.product_by_sku(&sku("apple")).await, Ok(None));
    assert_eq!(views.product_by_name("Apple").await, Ok(None));
    let window = Window { limit: 10, ..Window::default() };
    assert_eq!(views.customers(&window).await, Ok(Page { rows: Vec::new(), next: None }));
    assert_eq!(views.products(&window).await, Ok(Page { rows: Vec::new(), next: None }));
}

pub async fn a_customer_is_written_only_if_it_has_seen_more(views: &dyn CatalogViews) {
    let stored = customer("ada", 3, 1);
    assert_eq!(views.put_customer(stored.clone()).await, Ok(true));
    for late in [1, 2, 3] {
        assert_eq!(views.put_customer(customer("ada", late, 9)).await, Ok(false), "{late} after 3");
        assert_eq!(views.customer(&stored.customer_id).await, Ok(Some(stored.clone())));
    }
    let newer = customer("ada", 4, 9);
    assert_eq!(views.put_customer(newer.clone()).await, Ok(true));
    assert_eq!(views.customer(&newer.customer_id).await, Ok(Some(newer)));
}

pub async fn personal_data_stays_when_the_log_says_more(views: &dyn CatalogViews) {
    let id = customer_id("ada");
    views.put_customer(customer("ada", 1, 1)).await.unwrap();
    assert_eq!(views.put_personal(&id, ada()).await, Ok(true));
    let kept = |seen| Ok(Some(CustomerRow { personal: ada(), ..customer("ada", seen, 1) }));
    assert_eq!(views.customer(&id).await, kept(1));

    let other = Personal { name: Some("not from here".into()), ..Personal::default() };
    for (seen, personal) in [(2, Personal::default()), (3, other)] {
        let row = CustomerRow { personal, ..customer("ada", seen, 1) };
        assert_eq!(views.put_customer(row).await, Ok(true));
        assert_eq!(views.customer(&id).await, kept(seen));
    }
}

pub async fn whoever_tells_first_of_a_person_is_believed(views: &dyn CatalogViews) {
    let id = customer_id("ada");
    views.put_customer(customer("ada", 1, 1)).await.unwrap();
    views.put_customer(customer("bob", 1, 1)).await.unwrap();
    let only_email = Personal { email: ada().email, ..Personal::default() };
    let nothing = Personal::default();
    for (personal, known, is_believed) in [
        (nothing.clone(), nothing.clone(), true),
        (ada(), ada(), true),
        (only_email.clone(), ada(), false),
        (Personal { name: Some("Bob".into()), ..ada() }, ada(), false),
        (nothing, ada(), false),
        (ada(), ada(), true),
    ] {
        assert_eq!(views.put_personal(&id, personal.clone()).await, Ok(is_believed), "{personal:?}");
        let row = CustomerRow { personal: known, ..customer("ada", 1, 1) };
        assert_eq!(views.customer(&id).await, Ok(Some(row)));
    }
    assert_eq!(views.customer(&customer_id("bob")).await, Ok(Some(customer("bob", 1, 1))));
    // Who told a part is not believed about the rest.
    assert_eq!(views.put_personal(&customer_id("bob"), only_email).await, Ok(true));
    assert_eq!(views.put_personal(&customer_id("bob"), ada()).await, Ok(false));
}

pub async fn of_many_who_tell_at_once_one_is_believed(views: &dyn CatalogViews) {
    let id = customer_id("ada");
    views.put_customer(customer("ada", 1, 1)).await.unwrap();
    let called = |n: usize| Personal { name: Some(format!("Ada {}", n / 2)), ..Personal::default() };
    let believed = join_all((0..20).map(|n| views.put_personal(&id, called(n)))).await;
    let believed: Vec<bool> = believed.into_iter().map(Result::unwrap).collect();
    let known = views.customer(&id).await.unwrap().unwrap().personal;
    let expected: Vec<bool> = (0..20).map(|n| called(n) == known).collect();
    assert_eq!(believed, expected);
    assert_eq!(believed.iter().filter(|is_believed| **is_believed).count(), 2);
}

pub async fn an_erased_customer_has_no_personal_data_and_gets_none(views: &dyn CatalogViews) {
    let id = customer_id("ada");
    views.put_customer(customer("ada", 1, 1)).await.unwrap();
    views.put_personal(&id, ada()).await.unwrap();
    let erased = CustomerRow { erased: true, ..customer("ada", 2, 1) };
    let carrying = CustomerRow { personal: ada(), ..erased.clone() };
    assert_eq!(views.put_customer(carrying).await, Ok(true));
    assert_eq!(views.customer(&id).await, Ok(Some(erased.clone())));
    assert_eq!(views.put_personal(&id, ada()).await, Ok(false));
    assert_eq!(views.customer(&id).await, Ok(Some(erased)));
}

pub async fn a_late_row_does_not_erase(views: &dyn CatalogViews) {
    let id = customer_id("ada");
    views.put_customer(customer("ada", 2, 1)).await.unwrap();
    views.put_personal(&id, ada()).await.unwrap();
    let late = CustomerRow { erased: true, ..customer("ada", 2, 1) };
    assert_eq!(views.put_customer(late).await, Ok(false));
    let row = CustomerRow { personal: ada(), ..customer("ada", 2, 1) };
    assert_eq!(views.customer(&id).await, Ok(Some(row)));
}

pub async fn nobody_has_personal_data_without_a_row(views: &dyn CatalogViews) {
    let id = customer_id("ada");
    assert_eq!(views.put_personal(&id, ada()).await, Ok(false));
    assert_eq!(views.customer(&id).await, Ok(None));
    views.put_customer(customer("ada", 1, 1)).await.unwrap();
    assert_eq!(views.customer(&id).await, Ok(Some(customer("ada", 1, 1))));
}

pub async fn personal_data_survives_what_the_log_says_at_the_same_time(views: &dyn CatalogViews) {
    let id = customer_id("ada");
    views.put_customer(customer("ada", 1, 1)).await.unwrap();
    let said = join_all((2..=20).map(|seen| views.put_customer(customer("ada", seen, 1))));
    let (_, kept) = join(said, views.put_personal(&id, ada())).await;
    assert_eq!(kept, Ok(true));
    let row = CustomerRow { personal: ada(), ..customer("ada", 20, 1) };
    assert_eq!(views.customer(&id).await, Ok(Some(row)));
}

pub async fn customers_are_listed_by_time_and_key_page_by_page(views: &dyn CatalogViews) {
    let mut customers = Vec::new();
    for (n, id) in (0..).zip(IDS) {
        let row = customer(id, 1, n / 3);
        views.put_customer(row.clone()).await.unwrap();
        let personal = if n % 2 == 0 { ada() } else { Personal::default() };
        views.put_personal(&row.customer_id, personal.clone()).await.unwrap();
        customers.push(CustomerRow { personal, ..row });
    }
    let place = |row: &CustomerRow| After { created_at: row.created_at, id: row.customer_id.to_string() };
    soon_listed("customers", customers, &[1, 2, 3, 12, 13], place, async |window| {
        views.customers(&window).await.unwrap()
    })
    .await;
}

pub async fn a_product_is_written_only_if_it_has_seen_more(views: &dyn CatalogViews) {
    let stored = product("p-1", "apple", "Apple 🍏", 1);
    let stored = ProductRow { seen: 3, ..stored };
    assert_eq!(views.put_product(stored.clone()).await, Ok(true));
    let repriced = |seen| ProductRow { seen, price: euros(99), updated_at: second(9), ..stored.clone() };
    for late in [1, 2, 3] {
        assert_eq!(views.put_product(repriced(late)).await, Ok(false), "{late} after 3");
        assert_eq!(views.product(&stored.product_id).await, Ok(Some(stored.clone())));
    }
    assert_eq!(views.put_product(repriced(4)).await, Ok(true));
    assert_eq!(views.product(&stored.product_id).await, Ok(Some(repriced(4))));
    soon("by sku", Some(repriced(4)), async || views.product_by_sku(&stored.sku).await.unwrap()).await;
}

pub async fn a_product_is_found_by_its_sku_and_its_exact_name(views: &dyn CatalogViews) {
    let names = ["Apple", "apple", "Apple ", "Äpple", "A%", "O'Neil \"XL\" 🍏"];
    for (n, name) in (0..).zip(names) {
        views.put_product(product(&format!("p-{n}"), &format!("sku {n}"), name, n)).await.unwrap();
    }
    for (n, name) in (0..).zip(names) {
        let row = Some(product(&format!("p-{n}"), &format!("sku {n}"), name, n));
        soon(name, row.clone(), async || views.product_by_name(name).await.unwrap()).await;
        let of = sku(&format!("sku {n}"));
        soon(&of, row, async || views.product_by_sku(&of).await.unwrap()).await;
    }
    for name in ["APPLE", "App", " Apple", ""] {
        assert_eq!(views.product_by_name(name).await, Ok(None), "{name:?}");
    }
    assert_eq!(views.product_by_sku(&sku("sku")).await, Ok(None));
}

pub async fn a_withdrawn_product_is_found_by_its_id_alone(views: &dyn CatalogViews) {
    let listed = product("p-1", "apple", "Apple", 1);
    let withdrawn = ProductRow { seen: 2, withdrawn: true, ..listed.clone() };
    views.put_product(listed).await.unwrap();
    views.put_product(withdrawn.clone()).await.unwrap();
    assert_eq!(views.product(&withdrawn.product_id).await, Ok(Some(withdrawn)));
    soon("by sku", None, async || views.product_by_sku(&sku("apple")).await.unwrap()).await;
    soon("by name", None, async || views.product_by_name("Apple").await.unwrap()).await;
}

pub async fn of_several_products_the_one_listed_first_is_found(views: &dyn CatalogViews) {
    // Neither the first by its key nor the first to be written is the first to be listed.
    let mut rows = [("p-1", 7), ("p-3", 5), ("p-2", 9)].map(|(id, n)| product(id, "apple", "Apple", n));
    for row in &rows {
        views.put_product(row.clone()).await.unwrap();
    }
    rows.sort_by_key(|row| row.created_at);
    for row in rows {
        let first = Some(row.clone());
        soon("by sku", first.clone(), async || views.product_by_sku(&row.sku).await.unwrap()).await;
        soon("by name", first, async || views.product_by_name(&row.name).await.unwrap()).await;
        views.put_product(ProductRow { seen: 2, withdrawn: true, ..row }).await.unwrap();
    }
    soon("none left", None, async || views.product_by_sku(&sku("apple")).await.unwrap()).await;
}

pub async fn products_are_listed_withdrawn_or_not(views: &dyn CatalogViews) {
    let mut products = Vec::new();
    for (n, id) in (0..).zip(IDS) {
        let row = ProductRow { withdrawn: n % 2 == 0, ..product(id, "apple", "Apple", n / 3) };
        views.put_product(row.clone()).await.unwrap();
        products.push(row);
    }
    let place = |row: &ProductRow| After { created_at: row.created_at, id: row.product_id.to_string() };
    soon_listed("products", products, &[1, 2, 3, 12, 13], place, async |window| {
        views.products(&window).await.unwrap()
    })
    .await;
}

pub(super) fn ada() -> Personal {
    Personal {
        name: Some("Ada \"the first\" Lövelace".into()),
        email: Some("ada@example.com".into()),
        address: Some("12 St James's Square\nLondon".into()),
    }
}

pub(super) fn customer_id(id: &str) -> CustomerId {
    CustomerId::recorded(id).unwrap()
}

fn product_id(id: &str) -> ProductId {
    ProductId::recorded(id).unwrap()
}

/// A customer that was registered in the n-th second, without personal data.
pub(super) fn customer(id: &str, seen: u32, n: u64) -> CustomerRow {
    CustomerRow {
        customer_id: customer_id(id),
        seen,
        personal: Personal::default(),
        erased: false,
        created_at: second(n),
        updated_at: second(n + u64::from(seen)),
    }
}

/// A product that was listed in the n-th second.
pub(super) fn product(id: &str, of: &str, name: &str, n: u64) -> ProductRow {
    ProductRow {
        product_id: product_id(id),
        seen: 1,
        sku: sku(of),
        name: name.into(),
        price: euros(n as i64 + 1),
        currency: euro(),
        withdrawn: false,
        created_at: second(n),
        updated_at: second(n),
    }
}
