//! SQS as an operator uses it: counting, looking, sending back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, anyhow};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::DisplayErrorContext;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
    MessageSystemAttributeNameForSends, MessageSystemAttributeValue, QueueAttributeName,
};
use event_store_dynamodb::Connection;

use crate::dead_letters::Letter;

/// Messages in one call, at most. Source: "ReceiveMessage", Amazon SQS API Reference.
const BATCH: u64 = 10;
/// How long a letter is hidden from others who look.
const HIDDEN: Duration = Duration::from_secs(300);
/// How long a call waits for a letter. A queue lies on many servers, and a call that does not wait asks some of them.
const WAIT: Duration = Duration::from_secs(1);
/// So many calls in a row that find nothing mean that there is nothing.
const EMPTY_CALLS: u32 = 2;

/// The queues of an account.
pub(crate) struct Queues(Client);

/// A letter that was received.
pub(crate) struct Received {
    pub(crate) letter: Letter,
    message: Message,
}

impl Received {
    /// What SQS calls it.
    pub(crate) fn id(&self) -> &str {
        self.message.message_id().unwrap_or_default()
    }

    /// What SQS says of it.
    pub(crate) fn said(&self, name: MessageSystemAttributeName) -> Option<&str> {
        self.message.attributes()?.get(&name).map(String::as_str)
    }

    /// What whoever sent it said of it, the bus above all.
    pub(crate) fn told(&self, name: &str) -> Option<&str> {
        self.message.message_attributes()?.get(name)?.string_value()
    }

    fn receipt(&self) -> &str {
        self.message.receipt_handle().unwrap_or_default()
    }
}

impl From<Message> for Received {
    fn from(message: Message) -> Self {
        let body = message.body().unwrap_or_default().to_owned();
        let mut received = Received { letter: Letter { body, ..Letter::default() }, message };
        let source = received.said(MessageSystemAttributeName::DeadLetterQueueSourceArn).map(name_of);
        let target = received.told("TARGET_ARN").map(name_of);
        received.letter.source = source;
        received.letter.target = target;
        received
    }
}

/// The name of a queue, from its ARN: `arn:aws:sqs:<region>:<account>:<name>`.
fn name_of(arn: &str) -> String {
    arn.rsplit(':').next().unwrap_or_default().to_owned()
}

impl Queues {
    pub(crate) fn new(connection: &Connection) -> Queues {
        Queues(Client::new(&connection.config()))
    }

    /// The addresses of queues by their names.
    pub(crate) async fn urls<'a>(
        &self,
        names: impl IntoIterator<Item = &'a str>,
    ) -> anyhow::Result<BTreeMap<String, String>> {
        let mut urls = BTreeMap::new();
        for name in names.into_iter().collect::<BTreeSet<_>>() {
            let url = self.0.get_queue_url().queue_name(name).send().await.map_err(|error| {
                let of_none = error.as_service_error().is_some_and(|it| it.is_queue_does_not_exist());
                let why = anyhow!("{}", DisplayErrorContext(error));
                let hint = if of_none { "; is the stack deployed in this account and region?" } else { "" };
                why.context(format!("failed to find the queue {name}{hint}"))
            })?;
            urls.insert(name.to_owned(), url.queue_url.context("a queue has an address")?);
        }
        Ok(urls)
    }

    /// About how many letters wait, and how many somebody holds at this moment.
    pub(crate) async fn count(&self, url: &str) -> anyhow::Result<(u64, u64)> {
        use QueueAttributeName::{ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible};
        let names = [ApproximateNumberOfMessages, ApproximateNumberOfMessagesNotVisible];
        let ask = self.0.get_queue_attributes().queue_url(url).set_attribute_names(Some(names.to_vec()));
        let told = ask.send().await.map_err(|error| failed("count the letters of", url, error))?;
        let told = told.attributes.unwrap_or_default();
        let [waiting, held] =
            names.map(|name| told.get(&name).and_then(|count| count.parse().ok()).unwrap_or(0));
        Ok((waiting, held))
    }

    /// Gives letters to `handle`, batch by batch, each once and at most so many; those that it gives back can be
    /// received again when all is done, or after [`HIDDEN`] if this is cut short.
    pub(crate) async fn walk(
        &self,
        url: &str,
        limit: u64,
        mut handle: impl AsyncFnMut(Vec<Received>) -> anyhow::Result<Vec<Received>>,
    ) -> anyhow::Result<()> {
        let (mut kept, mut given, mut empty_calls) = (BTreeMap::<String, String>::new(), 0, 0);
        let walked = async {
            while given < limit && empty_calls < EMPTY_CALLS {
                let received = self.receive(url, BATCH.min(limit - given)).await?;
                let (again, fresh): (Vec<_>, Vec<_>) =
                    received.into_iter().partition(|received| kept.contains_key(received.id()));
                // Those that come again, because they were hidden for long enough, are not new.
                empty_calls = if fresh.is_empty() { empty_calls + 1 } else { 0 };
                given += fresh.len() as u64;
                let stay = if fresh.is_empty() { Vec::new() } else { handle(fresh).await? };
                let stay = stay.iter().chain(&again);
                kept.extend(stay.map(|received| (received.id().to_owned(), received.receipt().to_owned())));
            }
            anyhow::Ok(())
        };
        let walked = walked.await;
        let receipts: Vec<&String> = kept.values().collect();
        for receipts in receipts.chunks(BATCH as usize) {
            self.show(url, receipts).await?;
        }
        walked
    }

    async fn receive(&self, url: &str, most: u64) -> anyhow::Result<Vec<Received>> {
        let receive = self
            .0
            .receive_message()
            .queue_url(url)
            .max_number_of_messages(most as i32)
            .visibility_timeout(HIDDEN.as_secs() as i32)
            .wait_time_seconds(WAIT.as_secs() as i32)
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All");
        let received = receive.send().await.map_err(|error| failed("read letters of", url, error))?;
        Ok(received.messages.unwrap_or_default().into_iter().map(Received::from).collect())
    }

    /// Lets others receive letters at once.
    async fn show(&self, url: &str, receipts: &[&String]) -> anyhow::Result<()> {
        let entries = receipts.iter().enumerate().map(|(n, receipt)| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(n.to_string())
                .receipt_handle(*receipt)
                .visibility_timeout(0)
                .build()
                .expect("an id and a receipt are given")
        });
        let change = self.0.change_message_visibility_batch().queue_url(url);
        let change = change.set_entries(Some(entries.collect()));
        change.send().await.map_err(|error| failed("put back letters of", url, error))?;
        Ok(())
    }

    /// Sends a letter to another queue and then takes it away. A crash in between leaves it in both, and a message
    /// that comes twice changes nothing.
    pub(crate) async fn send_back(
        &self,
        received: &Received,
        (from, to): (&str, &str),
        body: &str,
    ) -> anyhow::Result<()> {
        let mut send = self.0.send_message().queue_url(to).message_body(body);
        // What the bus says of a letter is about the letter; everything else is about the message.
        if received.letter.target.is_none() {
            let attributes: Option<std::collections::HashMap<String, MessageAttributeValue>> =
                received.message.message_attributes().cloned();
            send = send.set_message_attributes(attributes);
        }
        if let Some(trace) = received.said(MessageSystemAttributeName::AwsTraceHeader) {
            let trace = MessageSystemAttributeValue::builder().data_type("String").string_value(trace);
            let trace = trace.build().context("a trace has a type")?;
            send = send.message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace);
        }
        send.send().await.map_err(|error| failed("send a letter to", to, error))?;
        let delete = self.0.delete_message().queue_url(from).receipt_handle(received.receipt());
        delete.send().await.map_err(|error| failed("take a letter out of", from, error))?;
        Ok(())
    }
}

fn failed(what: &str, url: &str, error: impl std::error::Error) -> anyhow::Error {
    let name = url.rsplit('/').next().unwrap_or(url);
    anyhow!("failed to {what} {name}: {}", DisplayErrorContext(error))
}
