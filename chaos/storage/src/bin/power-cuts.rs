//! Cuts the power of simulated disks, many times, and says what was lost.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use storage_simulator::{Options, Report, run};

/// Runs seeds until there were enough power cuts. After each everything is checked.
#[derive(Parser)]
struct Arguments {
    /// How many power cuts.
    #[arg(long, default_value_t = 10_000)]
    cuts: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Show every call to the disk.
    #[arg(long)]
    trace: bool,
}

const REPLAY: &str = "cargo run --release -p storage-simulator --bin power-cuts --";

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let first = arguments.seed;
    let (began, mut told) = (Instant::now(), Instant::now());
    let (mut all, mut seed) = (Report::default(), first);
    while all.cuts < arguments.cuts {
        let mut options = Options::of(seed);
        options.show_calls = arguments.trace;
        match run(&options) {
            Ok(report) => all += report,
            Err(failure) => {
                println!("{failure}");
                println!("replay: {REPLAY} --cuts 1 --seed {seed} --trace");
                return ExitCode::FAILURE;
            }
        }
        if told.elapsed() > Duration::from_secs(10) {
            told = Instant::now();
            eprintln!("{} power cuts, seed {seed}, {:.0?}", all.cuts, began.elapsed());
        }
        seed += 1;
    }
    println!("{all}");
    println!("nothing acknowledged was lost; seeds {first} to {}, {:.1?}", seed - 1, began.elapsed());
    ExitCode::SUCCESS
}
