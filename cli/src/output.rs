//! Printing: tables for people, the server's own JSON for programs.

use std::io::{self, Write};

use clap::ValueEnum;
use comfy_table::{Cell, CellAlignment, Table, presets};
use serde_json::Value;

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Table,
    /// For programs.
    Json,
}

impl Format {
    /// Prints an answer: as it is for programs, in these words for people.
    ///
    /// # Errors
    /// Nobody reads it any more.
    pub fn show(self, answer: &Value, in_words: impl FnOnce(&Value) -> String) -> anyhow::Result<()> {
        match self {
            Format::Json => print_json(answer)?,
            Format::Table => print(&in_words(answer))?,
        }
        Ok(())
    }
}

/// One column of a table: its title, and what it shows of a row.
pub struct Column {
    title: &'static str,
    show: Show,
}

enum Show {
    Field(&'static str),
    Made(fn(&Value) -> Value),
}

/// A column that shows a field.
pub const fn field(title: &'static str, name: &'static str) -> Column {
    Column { title, show: Show::Field(name) }
}

/// A column that shows something made from the row.
pub const fn made(title: &'static str, make: fn(&Value) -> Value) -> Column {
    Column { title, show: Show::Made(make) }
}

impl Column {
    fn of(&self, row: &Value) -> Value {
        match self.show {
            Show::Field(name) => row[name].clone(),
            Show::Made(make) => make(row),
        }
    }
}

/// Rows under their titles. An empty list says so.
pub fn table(rows: &[Value], columns: &[Column]) -> String {
    if rows.is_empty() {
        return "(none)".to_owned();
    }
    let mut table = plain();
    table.set_header(columns.iter().map(|column| column.title));
    for row in rows {
        table.add_row(columns.iter().map(|column| cell(&column.of(row))));
    }
    finished(table)
}

/// Names and values, one pair a line; pairs without a value are left out.
pub fn facts(pairs: &[(&str, Value)]) -> String {
    let mut table = plain();
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_null()) {
        table.add_row([Cell::new(name), Cell::new(text(value))]);
    }
    finished(table)
}

/// The fields of an object as [`facts`], in their own order.
pub fn object(object: &Value) -> String {
    let fields = object.as_object().into_iter().flatten();
    facts(&fields.map(|(name, value)| (name.as_str(), value.clone())).collect::<Vec<_>>())
}

/// A table under its title, below a blank line; nothing where there are no rows. `count` says how many rows
/// there would be, where only the first are named.
pub fn section(title: &str, rows: &[Value], count: &Value, columns: &[Column]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let is_cut = count.as_u64() > Some(rows.len() as u64);
    let more = if is_cut { format!("\n… {} in all", text(count)) } else { String::new() };
    format!("\n\n{title}\n{}{more}", table(rows, columns))
}

/// Prints on standard output.
///
/// # Errors
/// Nobody reads it any more.
pub fn print(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()
}

/// Prints JSON for programs, indented so that people can read it too.
///
/// # Errors
/// Nobody reads it any more.
pub fn print_json(value: &Value) -> io::Result<()> {
    print(&format!("{value:#}"))
}

/// A value on one line. Control characters are escaped: a raw event may carry anything, and none of it may
/// reach the terminal.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => harmless(text),
        value => harmless(&value.to_string()),
    }
}

/// At most so many characters of a text, on one line.
pub fn short(text: &str, length: usize) -> String {
    let mut short: String = harmless(text).chars().take(length + 1).collect();
    if short.chars().count() > length {
        short = short.chars().take(length - 1).chain(['…']).collect();
    }
    short
}

fn harmless(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escape).collect()
}

fn cell(value: &Value) -> Cell {
    let alignment = if value.is_number() { CellAlignment::Right } else { CellAlignment::Left };
    Cell::new(text(value)).set_alignment(alignment)
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

fn finished(mut table: Table) -> String {
    table.column_iter_mut().for_each(|column| {
        column.set_padding((0, 2));
    });
    table.trim_fmt()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_stand_right_and_what_is_missing_is_a_dash() {
        let rows = [json!({"sku": "lamp", "available": 7}), json!({"sku": "chair"})];
        let shown = table(&rows, &[field("SKU", "sku"), field("AVAILABLE", "available")]);
        assert_eq!(shown, "SKU    AVAILABLE\nlamp           7\nchair  -");
        assert_eq!(table(&[], &[field("SKU", "sku")]), "(none)");
    }

    #[test]
    fn nothing_that_is_shown_can_move_the_cursor() {
        assert_eq!(text(&json!("a\u{1b}[2Jb\nc")), "a\\u{1b}[2Jb\\nc");
        assert_eq!(short("abcdef", 4), "abc…");
        assert_eq!(short("abcd", 4), "abcd");
    }

    #[test]
    fn facts_leave_out_what_is_not_known() {
        assert_eq!(facts(&[("order", json!("o-1")), ("reason", Value::Null)]), "order  o-1");
    }
}
