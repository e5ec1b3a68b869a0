//! Making the tables on a server that has no CloudFormation: DynamoDB Local, or a double. In an account the
//! templates make them; `tests/schema.rs` holds the two against each other.

use aws_sdk_dynamodb::error::{DisplayErrorContext, SdkError};
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::delete_table::DeleteTableError;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, GlobalSecondaryIndex, KeySchemaElement, KeyType, Projection,
    ProjectionType, ScalarAttributeType, StreamSpecification, StreamViewType,
};
use event_store::StoreError;

use crate::DynamoStore;

/// A table: its keys, its indexes, what of its changes can be followed. All keys are strings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// The name that the template gives it: `OrderTable`.
    pub name: &'static str,
    /// Partition key, and sort key if there is one.
    pub key: &'static [&'static str],
    /// Indexes, named `GSI1` and so on, each of keys alone.
    pub indexes: &'static [[&'static str; 2]],
    /// What its stream shows of a change, if it has one that somebody follows: `NEW_IMAGE`. The orders of an account
    /// have one for whoever wants it; with it, DynamoDB Local of 2020 answers readers of the log's stream with
    /// `TrimmedDataAccessException` (docs/aws.md, "What the doubles do otherwise").
    pub stream: Option<&'static str>,
}

const fn table(name: &'static str, key: &'static [&'static str]) -> Table {
    Table { name, key, indexes: &[], stream: None }
}

/// The tables that this crate reads and writes.
pub const TABLES: [Table; 12] = [
    Table { stream: Some("NEW_IMAGE"), ..table("EventTable", &["pk", "sk"]) },
    Table {
        indexes: &[["customer_id", "created_at"], ["shelf", "created_at"]],
        ..table("OrderTable", &["id"])
    },
    Table { indexes: &[["shelf", "created_at"]], ..table("PaymentTable", &["id"]) },
    table("DeliveryTable", &["id"]),
    Table { indexes: &[["shelf", "created_at"]], ..table("CustomerTable", &["id"]) },
    Table {
        indexes: &[["sku", "created_at"], ["name", "created_at"], ["shelf", "created_at"]],
        ..table("ProductTable", &["id"])
    },
    Table { indexes: &[["shelf", "created_at"]], ..table("StockTable", &["id"]) },
    table("StockLedgerTable", &["sku", "event_id"]),
    table("PaymentIntentTable", &["id"]),
    table("ShadowTable", &["shelf", "id"]),
    Table { indexes: &[["shelf", "created_at"]], ..table("UserTable", &["id"]) },
    table("IdempotencyTable", &["id"]),
];

impl DynamoStore {
    /// Makes the tables that are not there yet, under the prefix that [`crate::Tables::prefixed`] was given.
    ///
    /// # Errors
    /// What the server says.
    pub async fn create_tables(&self, prefix: &str) -> Result<(), StoreError> {
        for table in &TABLES {
            self.create(&format!("{prefix}{}", table.name), table).await?;
        }
        Ok(())
    }

    /// Removes the tables of a prefix, with everything in them.
    ///
    /// # Errors
    /// What the server says.
    pub async fn delete_tables(&self, prefix: &str) -> Result<(), StoreError> {
        for table in &TABLES {
            let name = format!("{prefix}{}", table.name);
            match self
                .client
                .delete_table()
                .table_name(&name)
                .send()
                .await
                .map_err(SdkError::into_service_error)
            {
                Ok(_) | Err(DeleteTableError::ResourceNotFoundException(_)) => {}
                Err(error) => {
                    let why = DisplayErrorContext(error);
                    return Err(StoreError::Unavailable(format!("failed to remove the table {name}: {why}")));
                }
            }
        }
        Ok(())
    }

    async fn create(&self, name: &str, table: &Table) -> Result<(), StoreError> {
        let mut attributes: Vec<&str> =
            table.key.iter().chain(table.indexes.iter().flatten()).copied().collect();
        attributes.sort_unstable();
        attributes.dedup();
        let mut create = self
            .client
            .create_table()
            .table_name(name)
            .billing_mode(BillingMode::PayPerRequest)
            .set_attribute_definitions(Some(attributes.into_iter().map(attribute).collect()))
            .set_key_schema(Some(keys(table.key)));
        for (n, index) in (1..).zip(table.indexes) {
            let projection = Projection::builder().projection_type(ProjectionType::KeysOnly).build();
            let index = GlobalSecondaryIndex::builder()
                .index_name(format!("GSI{n}"))
                .set_key_schema(Some(keys(index)))
                .projection(projection)
                .build();
            create = create.global_secondary_indexes(index.expect("a name and keys are given"));
        }
        if let Some(view) = table.stream {
            let stream = StreamSpecification::builder()
                .stream_enabled(true)
                .stream_view_type(StreamViewType::from(view))
                .build();
            create = create.stream_specification(stream.expect("it says whether it is on"));
        }
        match create.send().await.map_err(SdkError::into_service_error) {
            Ok(_) | Err(CreateTableError::ResourceInUseException(_)) => Ok(()),
            Err(error) => Err(StoreError::Unavailable(format!(
                "failed to create the table {name}: {}",
                DisplayErrorContext(error)
            ))),
        }
    }
}

fn attribute(name: &str) -> AttributeDefinition {
    let attribute =
        AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
    attribute.expect("a name and a type are given")
}

fn keys(names: &[&str]) -> Vec<KeySchemaElement> {
    let types = [KeyType::Hash, KeyType::Range];
    let element = |(name, key_type): (&&str, KeyType)| {
        let element = KeySchemaElement::builder().attribute_name(*name).key_type(key_type).build();
        element.expect("a name and a type are given")
    };
    names.iter().zip(types).map(element).collect()
}
