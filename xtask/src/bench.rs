//! `cargo xtask bench`: the figures of docs/performance.md, measured again.

use anyhow::{Context, bail};

use crate::server::Server;
use crate::{cargo, cold_start, step};

/// How many clients place orders at once, as in the tables of docs/performance.md.
const CLIENTS: [&str; 5] = ["1", "4", "16", "64", "256"];
/// How many clients append to the store at once.
const APPENDING: [&str; 4] = ["1", "64", "256", "1024"];
const APPENDS: &str = "300000";

/// `bench orders [--orders N] [--clients N]`, `bench replay [--orders N]`, `bench store [--clients N]`,
/// `bench cold-start [--starts N]`.
///
/// # Errors
/// What does not build or run, or an audit that finds a difference.
pub fn run(words: &[&str]) -> anyhow::Result<()> {
    match words {
        ["orders", words @ ..] => orders(words),
        ["replay", words @ ..] => replay(words),
        ["store", words @ ..] => store(words),
        ["cold-start", words @ ..] => cold_start::run(words),
        _ => bail!("bench takes orders, replay, store or cold-start"),
    }
}

/// From POST to settled, over a store that begins empty for each number of clients.
fn orders(words: &[&str]) -> anyhow::Result<()> {
    let [orders, clients] = named(words, ["--orders", "--clients"])?;
    for clients in clients.map_or(CLIENTS.to_vec(), |clients| vec![clients]) {
        // One client alone takes as long for fewer.
        let orders = orders.unwrap_or(if clients == "1" { "4000" } else { "20000" });
        let server = Server::start("bench")?;
        let load = server.command(&["load", "--orders", orders, "--clients", clients]);
        step(&format!("{orders} orders by {clients} clients"), load)?;
        println!("--- audit: clean; {} orders are in the log", server.audited_orders()?);
    }
    Ok(())
}

/// Every read model of a log of so many orders.
fn replay(words: &[&str]) -> anyhow::Result<()> {
    let [orders] = named(words, ["--orders"])?;
    let orders = orders.unwrap_or("20000");
    let server = Server::start("bench")?;
    step(&format!("{orders} orders"), server.command(&["load", "--orders", orders, "--clients", "64"]))?;
    for view in ["orders", "stock"] {
        step(&format!("replay of {view}"), server.command(&["replay", "--view", view, "--diff"]))?;
    }
    step("audit", server.command(&["audit"]))
}

fn store(words: &[&str]) -> anyhow::Result<()> {
    let [clients] = named(words, ["--clients"])?;
    for clients in clients.map_or(APPENDING.to_vec(), |clients| vec![clients]) {
        let example =
            ["--release", "--package", "event-store-embedded", "--all-features", "--example", "append"];
        let mut append = cargo(&["run", "--quiet"]);
        append.args(example).args(["--", clients, APPENDS]);
        step(&format!("{APPENDS} appends by {clients} clients"), append)?;
    }
    Ok(())
}

/// The numbers behind these names, in their order.
fn named<'a, const N: usize>(words: &[&'a str], names: [&str; N]) -> anyhow::Result<[Option<&'a str>; N]> {
    let mut values = [None; N];
    for pair in words.chunks(2) {
        let place = names.iter().position(|name| *name == pair[0]);
        let (Some(place), [_, value]) = (place, pair) else {
            bail!("{} is not one of {} with a number", pair.join(" "), names.join(", "));
        };
        let number: u64 = value.parse().with_context(|| format!("{} takes a number", pair[0]))?;
        if number == 0 {
            bail!("{} takes a number above 0", pair[0]);
        }
        values[place] = Some(*value);
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_behind_their_names_and_anything_else_is_refused() {
        let names = ["--orders", "--clients"];
        assert_eq!(named(&[], names).unwrap(), [None, None]);
        assert_eq!(named(&["--clients", "4", "--orders", "9"], names).unwrap(), [Some("9"), Some("4")]);
        for wrong in
            [&["--clients"][..], &["4"], &["--clients", "many"], &["--orders", "0"], &["--clints", "4"]]
        {
            assert!(named(wrong, names).is_err(), "{wrong:?}");
        }
    }
}
