//! Commands that are shown before they are run, as lines that a shell takes too.

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, bail};

/// What will be run, from the project's folder.
#[derive(Debug, Default)]
pub struct Plan {
    /// Folders of programs, below the project's folder, that are looked into first.
    pub programs: Vec<&'static str>,
    /// Variables for all of it.
    pub variables: Vec<(&'static str, &'static str)>,
    /// One after the other, until one fails.
    pub steps: Vec<Step>,
    /// At the end, even after a failure.
    pub last: Option<Step>,
}

/// One command.
#[derive(Debug)]
pub struct Step {
    /// Below the project's folder, if it is not run there.
    pub folder: Option<String>,
    /// The program and what it is told.
    pub words: Vec<String>,
}

impl Step {
    /// A command in the project's folder.
    pub fn new(words: &[&str]) -> Step {
        Step { folder: None, words: words.iter().map(|&word| word.to_owned()).collect() }
    }

    /// The same, run somewhere below.
    pub fn within(mut self, folder: &str) -> Step {
        self.folder = Some(folder.to_owned());
        self
    }
}

impl Plan {
    /// Shows what will be done, and does it unless that was all that was asked.
    ///
    /// # Errors
    /// The first command that fails.
    pub fn carry_out(&self, root: &Path, dry_run: bool) -> anyhow::Result<()> {
        print!("{self}");
        if dry_run {
            println!("# nothing was done: --dry-run");
            return Ok(());
        }
        let outcome = self.steps.iter().try_for_each(|step| self.run(step, root));
        let cleared = self.last.as_ref().map_or(Ok(()), |step| self.run(step, root));
        outcome.and(cleared)
    }

    fn run(&self, step: &Step, root: &Path) -> anyhow::Result<()> {
        println!("--- {step}");
        let (program, words) = step.words.split_first().context("a step has a program")?;
        let mut command = Command::new(program);
        command.args(words).env("PATH", path(root, &self.programs)?).envs(self.variables.iter().copied());
        command.current_dir(step.folder.as_ref().map_or_else(|| root.to_owned(), |folder| root.join(folder)));
        let status = command.status().with_context(|| format!("failed to run {step}"))?;
        if !status.success() {
            bail!("{step} failed ({status})");
        }
        Ok(())
    }
}

/// Where programs are looked for: in these folders, then where they always are.
///
/// # Errors
/// A folder whose name cannot be part of it.
pub fn path(root: &Path, first: &[&str]) -> anyhow::Result<OsString> {
    let usual = env::var_os("PATH").unwrap_or_default();
    let folders = first.iter().map(|folder| root.join(folder)).chain(env::split_paths(&usual));
    env::join_paths(folders).context("failed to put folders into PATH")
}

impl fmt::Display for Plan {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.programs.is_empty() {
            let folders: Vec<String> = self.programs.iter().map(|folder| format!("$PWD/{folder}")).collect();
            writeln!(to, "export PATH=\"{}:$PATH\"", folders.join(":"))?;
        }
        for (name, value) in &self.variables {
            writeln!(to, "export {name}={value}")?;
        }
        self.steps.iter().chain(&self.last).try_for_each(|step| writeln!(to, "{step}"))
    }
}

impl fmt::Display for Step {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.words.join(" ");
        match &self.folder {
            Some(folder) => write!(to, "(cd {folder} && {words})"),
            None => write!(to, "{words}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_last_is_run_after_a_failure_and_the_failure_is_told() {
        let folder = env::temp_dir().join(format!("sagaline-plan-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("sub")).unwrap();
        let plan = Plan {
            steps: vec![Step::new(&["touch", "begun"]).within("sub"), Step::new(&["false"])],
            last: Some(Step::new(&["touch", "cleared"])),
            ..Plan::default()
        };
        plan.carry_out(&folder, true).unwrap();
        assert!(!folder.join("sub").join("begun").exists(), "a dry run does nothing");
        let failure = plan.carry_out(&folder, false).unwrap_err().to_string();
        assert!(failure.starts_with("false failed"), "{failure}");
        assert!(folder.join("sub").join("begun").exists() && folder.join("cleared").exists());
        std::fs::remove_dir_all(folder).unwrap();
    }
}
