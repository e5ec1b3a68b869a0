//! Files of requests, as editors send them: as much of the syntax as VS Code's REST Client and JetBrains' HTTP client
//! have in common, and not a word more.

use std::collections::BTreeMap;

/// A request, and what it expects.
#[derive(Debug, PartialEq, Eq)]
pub struct HttpRequest {
    pub title: String,
    /// The status of the first answer, and of every later one.
    pub expects: (u16, u16),
    /// What stands in the body of the first answer, and of every later one.
    pub shows: Vec<(String, String)>,
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// Reads a file, its variables replaced by their values: those of the file, else those that are given.
///
/// # Errors
/// Whatever one of the editors would not understand, with its line.
pub fn read(text: &str, given: &BTreeMap<&str, String>) -> Result<Vec<HttpRequest>, String> {
    let mut variables: BTreeMap<String, String> =
        given.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let mut sections = text.split("\n### ");
    for line in sections.next().unwrap_or_default().lines().filter(|line| !is_comment(line)) {
        let variable = line.strip_prefix('@').and_then(|line| line.split_once('='));
        let (name, value) =
            variable.ok_or(format!("{line:?} is no variable, and stands before the first ###"))?;
        variables.insert(name.trim().to_owned(), value.trim().to_owned());
    }
    sections.map(|section| request(section, &variables)).collect()
}

fn is_comment(line: &str) -> bool {
    line.trim().is_empty() || line.starts_with('#')
}

fn request(section: &str, variables: &BTreeMap<String, String>) -> Result<HttpRequest, String> {
    let (title, rest) = section.split_once('\n').unwrap_or((section, ""));
    let wrong = |what: &str| format!("{title}: {what}");
    for special in ["{{$", "{%", ".response.", "\n< ", "\n> ", "# @", "// "] {
        if rest.contains(special) {
            return Err(wrong(&format!("{special:?} means something to one editor only")));
        }
    }
    let (head, body) = rest.split_once("\n\n").unwrap_or((rest, ""));
    let (comments, lines): (Vec<&str>, Vec<&str>) = head.lines().partition(|line| is_comment(line));
    let expects = comments.iter().find_map(|line| line.strip_prefix("# expects "));
    let expects = expects.and_then(expected).ok_or(wrong("it does not say what it expects"))?;
    let shows = comments.iter().filter_map(|line| line.strip_prefix("# shows "));
    let shows =
        shows.map(first_and_again).map(|(first, again)| (first.to_owned(), again.to_owned())).collect();
    let [asked, headers @ ..] = &lines[..] else { return Err(wrong("there is no request")) };
    let (method, url) = asked.split_once(' ').ok_or(wrong("a request is a method and a URL"))?;
    let replaced = |text: &str| replaced(text, variables).map_err(|what| wrong(&what));
    let headers = headers.iter().map(|line| {
        let (name, value) = line.split_once(": ").ok_or(wrong(&format!("{line:?} is no header")))?;
        Ok((name.to_owned(), replaced(value)?))
    });
    Ok(HttpRequest {
        title: title.to_owned(),
        expects,
        shows,
        method: method.to_owned(),
        url: replaced(url)?,
        headers: headers.collect::<Result<_, String>>()?,
        body: replaced(body.trim())?,
    })
}

/// `201`, or `201, again 200`.
fn expected(text: &str) -> Option<(u16, u16)> {
    let (first, again) = first_and_again(text);
    Some((first.parse().ok()?, again.parse().ok()?))
}

fn first_and_again(text: &str) -> (&str, &str) {
    text.split_once(", again ").unwrap_or((text, text))
}

fn replaced(text: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let (mut done, mut rest) = (String::new(), text);
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").ok_or("a variable has no end")?;
        done += before;
        done += variables.get(name).ok_or(format!("nobody says what {name} is"))?;
        rest = after;
    }
    Ok(done + rest)
}
