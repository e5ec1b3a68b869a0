//! A mark on what is deployed, so that every deployment publishes a version of every function.
//!
//! SAM publishes a version where a function's properties have changed, and looks at them before CloudFormation has put the
//! values of parameters into them. A deployment that changes no more than a parameter would reach no alias.

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};

use crate::yaml;

/// The variable of every function that carries the mark. No code reads it.
const VARIABLE: &str = "DEPLOYMENT";

/// Marks the template that `sam build` left in a folder with the time, in seconds since 1970.
///
/// # Errors
/// No template is there, or none that gives all functions variables.
pub fn built(folder: &Path) -> anyhow::Result<()> {
    let path = folder.join("template.yaml");
    let template = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?;
    let stamped = stamped(&template, &now.as_secs().to_string())?;
    fs::write(&path, stamped).with_context(|| format!("failed to write {}", path.display()))?;
    println!("--- {} will publish a version of every function", path.display());
    Ok(())
}

/// A template whose functions all carry a mark.
///
/// # Errors
/// It gives them no variables.
pub fn stamped(template: &str, mark: &str) -> anyhow::Result<String> {
    let mut lines: Vec<&str> = template.lines().collect();
    let under = |path: &[&str]| {
        path.iter().try_fold((0, 0), |(from, depth), name| {
            let is_it = |line: &&str| line.trim() == format!("{name}:") && indent(line) >= depth;
            let at = from + lines[from..].iter().position(is_it)?;
            Some((at + 1, indent(lines[at]) + 1))
        })
    };
    let Some((at, _)) = under(&["Globals", "Function", "Environment", "Variables"]) else {
        bail!("the template gives its functions no variables under Globals");
    };
    let first = lines.get(at).copied().unwrap_or_default();
    let own = format!("{}{VARIABLE}: '{mark}'", " ".repeat(indent(first)));
    lines.insert(at, &own);
    let stamped = lines.join("\n") + "\n";
    let carried = &yaml::parse(&stamped)?["Globals"]["Function"]["Environment"]["Variables"][VARIABLE];
    if carried != mark {
        bail!("the template gives its functions no variables under Globals, in a way that can be added to");
    }
    Ok(stamped)
}

fn indent(line: &str) -> usize {
    line.len() - line.trim_start().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUILT: &str = "\
Globals:
  Function:
    Runtime: provided.al2023
    Environment:
      Variables:
        LOG_LEVEL:
          Ref: LogLevel
Resources:
  One:
    Properties:
      Environment:
        Variables:
          A: b
";

    #[test]
    fn every_function_gets_a_variable_that_no_other_deployment_has() {
        let stamped = stamped(BUILT, "7").unwrap();
        let template = yaml::parse(&stamped).unwrap();
        let variables = &template["Globals"]["Function"]["Environment"]["Variables"];
        assert_eq!(variables["DEPLOYMENT"], "7");
        assert_eq!(variables["LOG_LEVEL"]["Ref"], "LogLevel", "what was there stays");
        assert_eq!(stamped.replace("        DEPLOYMENT: '7'\n", ""), BUILT, "and nothing else changes");
    }

    #[test]
    fn a_template_that_cannot_be_marked_is_not_deployed_unmarked() {
        let others = [
            "",
            "Globals:\n  Function:\n    Runtime: it\n",
            // Those of one function are not those of all.
            "Globals:\n  Function:\n    Runtime: it\nResources:\n  A:\n    Environment:\n      Variables:\n        A: b\n",
            "Globals: { Function: { Environment: { Variables: { A: b } } } }\n",
        ];
        for template in others {
            assert!(stamped(template, "7").is_err(), "{template}");
        }
    }
}
