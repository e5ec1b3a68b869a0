//! What is consumed, as the service counts it: the figures that are billed.

use std::sync::Mutex;

use aws_sdk_dynamodb::operation::batch_get_item::BatchGetItemOutput;
use aws_sdk_dynamodb::operation::batch_write_item::BatchWriteItemOutput;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemOutput;
use aws_sdk_dynamodb::operation::describe_table::DescribeTableOutput;
use aws_sdk_dynamodb::operation::get_item::GetItemOutput;
use aws_sdk_dynamodb::operation::put_item::PutItemOutput;
use aws_sdk_dynamodb::operation::query::QueryOutput;
use aws_sdk_dynamodb::operation::scan::ScanOutput;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsOutput;
use aws_sdk_dynamodb::operation::update_item::UpdateItemOutput;
use aws_sdk_dynamodb::types::ConsumedCapacity;

/// Capacity units, counted where the service reports them.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Consumed {
    /// Read units: one is a strongly consistent read of 4 KB.
    pub read_units: f64,
    /// Write units: one is a write of 1 KB; a write in a transaction takes two, and each index that changes one more.
    pub write_units: f64,
    /// Calls that were answered.
    pub calls: u64,
}

/// Adds up what the answers say.
#[derive(Default)]
pub(crate) struct Meter(Mutex<Consumed>);

impl Meter {
    pub(crate) fn consumed(&self) -> Consumed {
        *self.0.lock().expect("nobody panics while counting")
    }

    pub(crate) fn count(&self, answer: &impl Measured) {
        let units: f64 = answer.consumed().iter().filter_map(ConsumedCapacity::capacity_units).sum();
        let mut consumed = self.0.lock().expect("nobody panics while counting");
        consumed.calls += 1;
        if answer.writes() {
            consumed.write_units += units;
        } else {
            consumed.read_units += units;
        }
    }
}

/// What one answer says it took.
pub(crate) fn units(consumed: Option<&ConsumedCapacity>) -> f64 {
    consumed.and_then(ConsumedCapacity::capacity_units).unwrap_or_default()
}

/// An answer that says what it took.
pub(crate) trait Measured {
    fn consumed(&self) -> &[ConsumedCapacity];
    fn writes(&self) -> bool;
}

macro_rules! measured {
    ($($output:ident $writes:literal $($part:ident)?;)*) => {$(
        impl Measured for $output {
            fn consumed(&self) -> &[ConsumedCapacity] {
                measured!(@units self $($part)?)
            }
            fn writes(&self) -> bool {
                $writes
            }
        }
    )*};
    (@units $self:ident one) => { $self.consumed_capacity().map_or(&[], std::slice::from_ref) };
    (@units $self:ident many) => { $self.consumed_capacity() };
    (@units $self:ident) => { &[] };
}

measured! {
    PutItemOutput true one;
    UpdateItemOutput true one;
    DeleteItemOutput true one;
    TransactWriteItemsOutput true many;
    BatchWriteItemOutput true many;
    GetItemOutput false one;
    QueryOutput false one;
    ScanOutput false one;
    BatchGetItemOutput false many;
    DescribeTableOutput false;
}
