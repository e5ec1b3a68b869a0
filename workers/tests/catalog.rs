//! The catalog worker keeps the rows of products and customers, in whatever order their events arrive.
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod world;

use event_store::CatalogViews;
use events::{
    Currency, CustomerErased, CustomerId, CustomerRegistered, Event, Money, ProductId, ProductListed,
    ProductRepriced, ProductWithdrawn,
};
use workers::Worker;
use world::{World, sku};

fn repriced(revision: u32, minor: i64) -> Event {
    Event::ProductRepriced(ProductRepriced {
        product_id: ProductId::parse("product-1").unwrap(),
        revision,
        price: Money::from_minor(minor).unwrap(),
        currency: Currency::default(),
    })
}

#[tokio::test]
async fn a_products_row_shows_its_latest_price_and_whether_it_can_be_ordered() {
    let world = World::new();
    let product_id = ProductId::parse("product-1").unwrap();
    let listed = Event::ProductListed(ProductListed {
        product_id: product_id.clone(),
        sku: sku("sku-1"),
        name: "A kettle".to_owned(),
        price: Money::from_minor(1_999).unwrap(),
        currency: Currency::default(),
    });
    let shown = async || {
        let row = world.store.product(&product_id).await.unwrap();
        row.map(|row| (row.price.minor(), row.withdrawn, row.seen))
    };
    let early = world.append(repriced(2, 2_199)).await;
    world.wake(Worker::Catalog, &early).await.unwrap();
    assert_eq!(shown().await, None);
    for event in [listed, repriced(1, 2_099)] {
        let item = world.append(event).await;
        world.wake(Worker::Catalog, &item).await.unwrap();
    }
    assert_eq!(shown().await, Some((2_199, false, 3)));
    let withdrawn =
        world.append(Event::ProductWithdrawn(ProductWithdrawn { product_id: product_id.clone() })).await;
    for _ in 0..2 {
        world.wake(Worker::Catalog, &withdrawn).await.unwrap();
        assert_eq!(shown().await, Some((2_199, true, 4)));
    }
}

#[tokio::test]
async fn a_customers_row_shows_that_they_registered_and_that_they_were_erased() {
    let world = World::new();
    let customer_id = CustomerId::parse("customer-1").unwrap();
    let shown = async || {
        let row = world.store.customer(&customer_id).await.unwrap();
        row.map(|row| (row.erased, row.seen))
    };
    let registered = Event::CustomerRegistered(CustomerRegistered { customer_id: customer_id.clone() });
    let erased = Event::CustomerErased(CustomerErased { customer_id: customer_id.clone() });
    for (event, row) in [(registered, (false, 1)), (erased, (true, 2))] {
        let item = world.append(event).await;
        world.wake(Worker::Catalog, &item).await.unwrap();
        assert_eq!(shown().await, Some(row));
    }
}
