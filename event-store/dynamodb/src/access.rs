//! Users, keys, secrets and tries; and answers that were given already.
//!
//! Users and keys are items of one table, told apart by what their `id` begins with, and secrets are where those are who
//! need them. What is changed by looking at it first, tries and kept answers, carries the number of its changes, and a
//! change is written over the state that it was computed from.

use async_trait::async_trait;
use aws_sdk_dynamodb::operation::delete_item::DeleteItemError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, Put, ReturnConsumedCapacity, ReturnValue, TransactWriteItem, Update,
};
use event_store::{
    Added, After, Allowance, Claim, Claimed, Forgotten, Held, Idempotency, Kept, KeptAnswer, Key, KeyRow,
    Keys, Page, Secrets, StoreError, Tries, Try, User, UserRow, Users, Window,
};
use events::{CustomerId, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::DynamoStore;
use crate::calls::{Refused, failed};
use crate::lists::{List, insert, place, shelf_of, shelves};
use crate::row_item::{Item, json, json_of, key, number, number_of, text, text_of, unreadable};

const USER: &str = "USER";
const KEY: &str = "KEY";
/// Whom and what a customer could act by: the item `CUSTOMER#<customer_id>` holds their ids.
const OF_CUSTOMER: &str = "CUSTOMER";

fn id_of(kind: &str, name: &str) -> String {
    format!("{kind}#{name}")
}

/// An item of a kind, in the list of all of its kind, with the customer it acts for.
fn listed(kind: &str, name: &str, created_at: Timestamp, customer: Option<&CustomerId>) -> Item {
    let id = id_of(kind, name);
    let mut item = key("id", &id);
    insert(&mut item, "created_at", text(place(created_at, &id)));
    insert(&mut item, "shelf", text(shelf_of(kind, &id)));
    if let Some(customer) = customer {
        insert(&mut item, "customer_id", text(customer.as_str()));
    }
    item
}

fn to_key_row(item: &Item) -> Result<KeyRow, StoreError> {
    let row: KeyRow = json_of(item, "row")?;
    let revoked_at = match text_of(item, "revoked_at") {
        Ok(at) => Some(Timestamp::parse(at).map_err(|_| unreadable("revoked_at"))?),
        Err(_) => None,
    };
    Ok(KeyRow { revoked_at, ..row })
}

#[async_trait]
impl Users for DynamoStore {
    async fn add_user(&self, user: User) -> Result<Added, StoreError> {
        let User { row, password_hash } = user;
        let mut item = listed(USER, &row.username, row.created_at, row.customer_id.as_ref());
        insert(&mut item, "row", json(&row));
        insert(&mut item, "password_hash", text(password_hash));
        self.add(item, row.customer_id.as_ref()).await
    }

    async fn user(&self, username: &str) -> Result<Option<User>, StoreError> {
        let item = self.get(&self.tables.users, key("id", &id_of(USER, username))).await?;
        let user = |item: &Item| {
            let password_hash = text_of(item, "password_hash")?.to_owned();
            Ok(User { row: json_of(item, "row")?, password_hash })
        };
        item.as_ref().map(user).transpose()
    }

    async fn users(&self, window: &Window) -> Result<Page<UserRow>, StoreError> {
        self.all_of(USER, window, |item| json_of(item, "row")).await
    }

    async fn remove_user(&self, username: &str) -> Result<Option<UserRow>, StoreError> {
        let id = id_of(USER, username);
        let Some(item) = self.get(&self.tables.users, key("id", &id)).await? else { return Ok(None) };
        let row: UserRow = json_of(&item, "row")?;
        // Whoever took the name since stays. Whoever removed the user since, perhaps a try of ours, did what is wanted.
        self.delete_where(&id, ("created_at", text_of(&item, "created_at")?)).await?;
        if let Some(customer) = &row.customer_id {
            self.no_longer_of(customer, vec![id]).await?;
        }
        Ok(Some(row))
    }

    async fn forget_customer(&self, customer: &CustomerId) -> Result<Forgotten, StoreError> {
        let (table, noted) = (&self.tables.users, key("id", &id_of(OF_CUSTOMER, customer.as_str())));
        let found = self.get(table, noted).await?.and_then(|mut item| item.remove("ids"));
        let Some(AttributeValue::Ss(ids)) = found else { return Ok(Forgotten::default()) };
        let mut forgotten = Forgotten::default();
        for id in &ids {
            if !self.delete_where(id, ("customer_id", customer.as_str())).await? {
                continue;
            }
            match id.split_once('#') {
                Some((USER, name)) => forgotten.usernames.push(name.to_owned()),
                Some((_, key_id)) => forgotten.key_ids.push(key_id.to_owned()),
                None => {}
            }
        }
        self.no_longer_of(customer, ids).await?;
        Ok(forgotten)
    }
}

#[async_trait]
impl Keys for DynamoStore {
    async fn add_key(&self, added: Key) -> Result<Added, StoreError> {
        let Key { row, secret_hash } = added;
        let mut item = listed(KEY, &row.key_id, row.created_at, row.customer_id.as_ref());
        insert(&mut item, "row", json(&row));
        insert(&mut item, "secret_hash", text(secret_hash));
        self.add(item, row.customer_id.as_ref()).await
    }

    async fn key(&self, key_id: &str) -> Result<Option<Key>, StoreError> {
        let item = self.get(&self.tables.users, key("id", &id_of(KEY, key_id))).await?;
        let read = |item: &Item| {
            let secret_hash = text_of(item, "secret_hash")?.to_owned();
            Ok(Key { row: to_key_row(item)?, secret_hash })
        };
        item.as_ref().map(read).transpose()
    }

    async fn keys(&self, window: &Window) -> Result<Page<KeyRow>, StoreError> {
        self.all_of(KEY, window, to_key_row).await
    }

    async fn revoke_key(&self, key_id: &str, at: Timestamp) -> Result<Option<KeyRow>, StoreError> {
        // Revoking twice is revoking once, so it does not matter whether an earlier try had its effect.
        let update = self
            .client
            .update_item()
            .table_name(&self.tables.users)
            .set_key(Some(key("id", &id_of(KEY, key_id))))
            .update_expression("SET revoked_at = if_not_exists(revoked_at, :at)")
            .condition_expression("attribute_exists(secret_hash)")
            .expression_attribute_values(":at", text(at.to_string()))
            .return_values(ReturnValue::AllNew)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.call(|| update.clone().send()).await {
            Ok(updated) => updated.attributes.as_ref().map(to_key_row).transpose(),
            Err(Refused::ByService(UpdateItemError::ConditionalCheckFailedException(_), _)) => Ok(None),
            Err(refused) => Err(refused.into()),
        }
    }
}

#[async_trait]
impl Secrets for DynamoStore {
    async fn secret(&self, name: &str, offered: [u8; 32]) -> Result<[u8; 32], StoreError> {
        if let Some(secret) = self.known_secret(name).await? {
            return Ok(secret);
        }
        let mut item = key("id", &id_of("SECRET", name));
        insert(&mut item, "secret", text(to_hex(&offered)));
        if self.put_new(self.table_of_secret(name), item).await? {
            return Ok(offered);
        }
        self.known_secret(name).await?.ok_or_else(|| unreadable("secret"))
    }

    async fn known_secret(&self, name: &str) -> Result<Option<[u8; 32]>, StoreError> {
        let item = self.get(self.table_of_secret(name), key("id", &id_of("SECRET", name))).await?;
        let read = |item: &Item| hex_of(text_of(item, "secret")?).ok_or_else(|| unreadable("secret"));
        item.as_ref().map(read).transpose()
    }
}

fn to_hex(bytes: &[u8; 32]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hex_of(text: &str) -> Option<[u8; 32]> {
    let digits = text.as_bytes();
    let mut bytes = [0; 32];
    if digits.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

#[async_trait]
impl Tries for DynamoStore {
    async fn take_try(
        &self,
        whose: &str,
        by: &str,
        allowance: Allowance,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, StoreError> {
        let forget_at = Timestamp::from_millis(now.millis().saturating_add(allowance.within));
        self.change(&id_of("TRIES", whose), |tries: Option<Vec<Try>>| {
            let mut tries = tries.unwrap_or_default();
            match allowance.take(&mut tries, by, now) {
                Ok(()) => (None, Some((tries, forget_at))),
                Err(again) => (Some(again), None),
            }
        })
        .await
    }

    async fn forget_tries(&self, whose: &str, now: Timestamp) -> Result<(), StoreError> {
        // No function may delete from this table: its time to live does.
        self.change(&id_of("TRIES", whose), |tries: Option<Vec<Try>>| ((), tries.map(|_| (Vec::new(), now))))
            .await
    }
}

#[async_trait]
impl Idempotency for DynamoStore {
    async fn claim(&self, key: &str, claim: Claim, now: Timestamp) -> Result<Claimed, StoreError> {
        self.change(&id_of("ANSWER", key), |kept: Option<Kept>| {
            let (claimed, stored) = Kept::claimed(kept.as_ref(), claim.clone(), now);
            (claimed, stored.map(with_end))
        })
        .await
    }

    async fn keep(&self, key: &str, held: Held, answer: KeptAnswer) -> Result<bool, StoreError> {
        self.change(&id_of("ANSWER", key), |stored: Option<Kept>| {
            let kept = Kept::answered(stored, held, answer.clone());
            (kept.is_some(), kept.map(with_end))
        })
        .await
    }

    async fn give_up(&self, key: &str, held: Held) -> Result<bool, StoreError> {
        self.change(&id_of("ANSWER", key), |stored: Option<Kept>| {
            let given_up = Kept::given_up(stored, held);
            (given_up.is_some(), given_up.map(with_end))
        })
        .await
    }
}

fn with_end(kept: Kept) -> (Kept, Timestamp) {
    let forget_at = kept.claim.forget_at;
    (kept, forget_at)
}

/// Secrets that stand beside users, where only those functions reach them that let somebody in.
const BESIDE_USERS: [&str; 1] = ["tokens"];

impl DynamoStore {
    /// Where a secret is kept. Every API reaches the table of answers, and not every one that of users.
    fn table_of_secret(&self, name: &str) -> &str {
        if BESIDE_USERS.contains(&name) { &self.tables.users } else { &self.tables.idempotency }
    }

    /// The list of a kind. Its places carry the whole id, which nobody else sees.
    async fn all_of<Row>(
        &self,
        kind: &str,
        window: &Window,
        row: impl Fn(&Item) -> Result<Row, StoreError>,
    ) -> Result<Page<Row>, StoreError> {
        let list = List { table: &self.tables.users, index: "GSI1", by: "shelf", partitions: shelves(kind) };
        let after = window.after.as_ref();
        let after = after.map(|after| After { id: id_of(kind, &after.id), created_at: after.created_at });
        let page = self
            .list(&list, &Window { after, ..window.clone() }, (None, None), |item| row(item).map(Some))
            .await?;
        let bare = |after: After| {
            let id = after.id.split_once('#').map_or_else(String::new, |(_, name)| name.to_owned());
            After { id, ..after }
        };
        Ok(Page { rows: page.rows, next: page.next.map(bare) })
    }

    /// Puts an item unless there is one under its id; says whether it did.
    async fn put_new(&self, table: &str, item: Item) -> Result<bool, StoreError> {
        let put = self
            .client
            .put_item()
            .table_name(table)
            .set_item(Some(item.clone()))
            .condition_expression("attribute_not_exists(id)")
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.call(|| put.clone().send()).await {
            Ok(_) => Ok(true),
            Err(Refused::ByService(PutItemError::ConditionalCheckFailedException(_), false)) => Ok(false),
            // Perhaps it is our own, of a try whose answer was lost.
            Err(Refused::ByService(PutItemError::ConditionalCheckFailedException(_), true)) => {
                let stored = self.get(table, key("id", text_of(&item, "id")?)).await?;
                Ok(stored == Some(item))
            }
            Err(refused) => Err(refused.into()),
        }
    }

    /// Adds somebody who may ask. In the same write, who could act for a customer is noted under the customer, where
    /// erasing finds them at once, and it is asked whether that was done before.
    async fn add(&self, item: Item, customer: Option<&CustomerId>) -> Result<Added, StoreError> {
        let table = &self.tables.users;
        let of_whether = |is_new| if is_new { Added::New } else { Added::Taken };
        let Some(customer) = customer else { return self.put_new(table, item).await.map(of_whether) };
        let id = text_of(&item, "id")?.to_owned();
        let put = Put::builder()
            .table_name(table)
            .set_item(Some(item.clone()))
            .condition_expression("attribute_not_exists(id)")
            .build()
            .expect("a table and an item are given");
        let note = Update::builder()
            .table_name(table)
            .set_key(Some(key("id", &id_of(OF_CUSTOMER, customer.as_str()))))
            .update_expression("ADD ids :id")
            .expression_attribute_values(":id", AttributeValue::Ss(vec![id.clone()]))
            .build()
            .expect("a table, a key and an expression are given");
        let is_not_erased = ConditionCheck::builder()
            .table_name(&self.tables.customers)
            .set_key(Some(key("id", customer.as_str())))
            .condition_expression("attribute_not_exists(erased)")
            .build()
            .expect("a table, a key and a condition are given");
        let all = vec![
            TransactWriteItem::builder().condition_check(is_not_erased).build(),
            TransactWriteItem::builder().put(put).build(),
            TransactWriteItem::builder().update(note).build(),
        ];
        let (cancelled, again) = match self.transact(all).await {
            Ok(()) => return Ok(Added::New),
            Err(Refused::ByService(
                TransactWriteItemsError::TransactionCanceledException(cancelled),
                again,
            )) => (cancelled, again),
            Err(refused) => return Err(refused.into()),
        };
        match cancelled.cancellation_reasons() {
            [erased, ..] if failed(erased) => Ok(Added::Erased),
            [_, taken, ..] if failed(taken) => {
                // Perhaps it is our own, of a try whose answer was lost.
                Ok(of_whether(again && self.get(table, key("id", &id)).await? == Some(item)))
            }
            _ => Err(Refused::ByService(
                TransactWriteItemsError::TransactionCanceledException(cancelled),
                again,
            )
            .into()),
        }
    }

    /// Forgets that a customer could act by these. Names of people are among them. What was noted meanwhile stays.
    async fn no_longer_of(&self, customer: &CustomerId, ids: Vec<String>) -> Result<(), StoreError> {
        let forget = self
            .client
            .update_item()
            .table_name(&self.tables.users)
            .set_key(Some(key("id", &id_of(OF_CUSTOMER, customer.as_str()))))
            .update_expression("DELETE ids :ids")
            .expression_attribute_values(":ids", AttributeValue::Ss(ids))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        self.call(|| forget.clone().send()).await?;
        Ok(())
    }

    /// Deletes an item if it has this attribute; says whether there was such an item. After a try whose answer was lost,
    /// perhaps not. A name that was given to somebody else since is theirs.
    async fn delete_where(&self, id: &str, (name, value): (&str, &str)) -> Result<bool, StoreError> {
        let delete = self
            .client
            .delete_item()
            .table_name(&self.tables.users)
            .set_key(Some(key("id", id)))
            .condition_expression("#name = :value")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":value", text(value))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.call(|| delete.clone().send()).await {
            Ok(_) => Ok(true),
            Err(Refused::ByService(DeleteItemError::ConditionalCheckFailedException(_), _)) => Ok(false),
            Err(refused) => Err(refused.into()),
        }
    }

    /// Looks at a state, and writes what becomes of it over the one that was looked at; looks again where somebody
    /// else was faster.
    async fn change<State, Out>(
        &self,
        id: &str,
        change: impl Fn(Option<State>) -> (Out, Option<(State, Timestamp)>),
    ) -> Result<Out, StoreError>
    where
        State: Serialize + DeserializeOwned + PartialEq,
    {
        let table = &self.tables.idempotency;
        loop {
            let stored = self.get(table, key("id", id)).await?;
            let version = stored.as_ref().map_or(Ok(0_u64), |item| number_of(item, "version"))?;
            let state = stored.as_ref().map(|item| json_of(item, "state")).transpose()?;
            let (out, changed) = change(state);
            let Some((state, forget_at)) = changed else { return Ok(out) };
            let mut item = key("id", id);
            insert(&mut item, "state", json(&state));
            insert(&mut item, "version", number(version + 1));
            // Seconds, as the table's time to live wants them; it deletes hours later than that.
            insert(&mut item, "expires_at", number(forget_at.millis() / 1_000 + 1));
            let put = self.client.put_item().table_name(table).set_item(Some(item.clone()));
            let put = match version {
                0 => put.condition_expression("attribute_not_exists(id)"),
                _ => put
                    .condition_expression("#version = :version")
                    .expression_attribute_names("#version", "version")
                    .expression_attribute_values(":version", number(version)),
            };
            let put = put.return_consumed_capacity(ReturnConsumedCapacity::Total);
            match self.call(|| put.clone().send()).await {
                Ok(_) => return Ok(out),
                Err(Refused::ByService(PutItemError::ConditionalCheckFailedException(_), again)) => {
                    // Perhaps it is our own, of a try whose answer was lost.
                    if again && self.get(table, key("id", id)).await? == Some(item) {
                        return Ok(out);
                    }
                }
                Err(refused) => return Err(refused.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use event_store::Role;
    use serde_json::Value;

    use super::*;
    use crate::Limits;
    use crate::scripted::{Answer, Server, as_sent};

    fn annas() -> Key {
        let row = KeyRow {
            key_id: "k-1".into(),
            name: "a till".into(),
            role: Role::Customer,
            customer_id: Some(CustomerId::recorded("anna").unwrap()),
            created_at: Timestamp::from_millis(0),
            revoked_at: None,
        };
        Key { row, secret_hash: "hash".into() }
    }

    fn stored(key: &Key) -> Answer {
        let mut item = listed(KEY, &key.row.key_id, key.row.created_at, key.row.customer_id.as_ref());
        insert(&mut item, "row", json(&key.row));
        insert(&mut item, "secret_hash", text(&key.secret_hash));
        Answer::ok(serde_json::json!({ "Item": as_sent(&item) }))
    }

    /// Why a transaction was cancelled, item by item.
    fn cancelled(codes: [&str; 3]) -> Answer {
        let reasons: Value = codes.iter().map(|code| serde_json::json!({ "Code": code })).collect();
        let what = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
        Answer::Says(400, serde_json::json!({ "__type": what, "CancellationReasons": reasons }).to_string())
    }

    async fn added(answers: Vec<Answer>) -> (Result<Added, StoreError>, Vec<String>) {
        let server = Server::that(answers);
        let added = server.store(Limits::default()).add_key(annas()).await;
        (added, server.operations())
    }

    const FAILED: &str = "ConditionalCheckFailed";

    #[tokio::test]
    async fn nobody_is_added_for_a_customer_who_was_erased_whatever_else_is_so() {
        for codes in [[FAILED, "None", "None"], [FAILED, FAILED, "TransactionConflict"]] {
            let (added, asked) = added(vec![cancelled(codes)]).await;
            assert_eq!((added, asked.len()), (Ok(Added::Erased), 1), "{codes:?}");
        }
    }

    #[tokio::test]
    async fn an_id_that_is_taken_is_ones_own_where_an_answer_was_lost_and_the_same_stands_there() {
        let taken = || cancelled(["None", FAILED, "None"]);
        let other = Key { secret_hash: "another".into(), ..annas() };
        for (stands, expected) in [(annas(), Added::New), (other, Added::Taken)] {
            let (added, asked) = added(vec![Answer::HangsUp, taken(), stored(&stands)]).await;
            assert_eq!(added, Ok(expected));
            assert_eq!(asked, ["TransactWriteItems", "TransactWriteItems", "GetItem"]);
        }
        let (added, asked) = added(vec![taken()]).await;
        assert_eq!((added, asked.len()), (Ok(Added::Taken), 1), "nothing was lost, so it is somebody else's");
    }

    #[tokio::test]
    async fn an_adding_that_met_another_write_is_tried_again() {
        let met = cancelled(["TransactionConflict", "None", "None"]);
        let (added, asked) = added(vec![met, Answer::ok(serde_json::json!({}))]).await;
        assert_eq!((added, asked.len()), (Ok(Added::New), 2));
    }
}
