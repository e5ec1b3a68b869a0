//! Lists that the server hands out page by page.

use clap::Args;
use serde_json::Value;

use crate::Session;
use crate::client::query;
use crate::output::{Column, Format, table};

/// How much of a list is shown.
#[derive(Args)]
pub struct Paging {
    /// At most so many; the server's most is 200.
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=200))]
    limit: Option<u16>,
    /// Go on where the page before ended.
    #[arg(long, value_name = "TOKEN", conflicts_with = "all")]
    next_token: Option<String>,
    /// Every page, to the end.
    #[arg(long)]
    all: bool,
}

/// Shows the list that a route answers under `key`.
pub async fn show(
    session: &Session,
    path: &str,
    filters: &[(&str, Option<&str>)],
    paging: Paging,
    key: &str,
    columns: &[Column],
) -> anyhow::Result<()> {
    let list = fetch(session, path, filters, paging, key).await?;
    session.output.show(&list, |list| table(rows(list, key), columns))?;
    if let Some(token) = list["next_token"].as_str().filter(|_| session.output == Format::Table) {
        eprintln!("there are more: add --all, or --next-token {token}");
    }
    Ok(())
}

/// The rows under `key`; none if there is no such list.
pub fn rows<'a>(answer: &'a Value, key: &str) -> &'a [Value] {
    answer[key].as_array().map_or(&[], Vec::as_slice)
}

async fn fetch(
    session: &Session,
    path: &str,
    filters: &[(&str, Option<&str>)],
    paging: Paging,
    key: &str,
) -> anyhow::Result<Value> {
    let client = session.client();
    let limit = paging.limit.or(paging.all.then_some(200)).map(|limit| limit.to_string());
    let (mut token, mut all) = (paging.next_token, Vec::new());
    loop {
        let page = [("limit", limit.as_deref()), ("next_token", token.as_deref())];
        let mut answer = client.get(&query(path, &[filters, &page].concat())).await?;
        token = answer["next_token"].as_str().filter(|_| paging.all).map(str::to_owned);
        let Some(list) = answer.get_mut(key).and_then(Value::as_array_mut) else { return Ok(answer) };
        all.append(list);
        if token.is_none() {
            *list = all;
            return Ok(answer);
        }
    }
}
