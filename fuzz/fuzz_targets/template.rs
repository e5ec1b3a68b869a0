//! Templates: any text is a topology or an error, the same one every time, and what a topology names is in it.
#![no_main]

use libfuzzer_sys::{Corpus, fuzz_target};
use topology::{Parameters, Source, Topology};

fuzz_target!(|input: &[u8]| -> Corpus {
    let Ok(text) = str::from_utf8(input) else { return Corpus::Reject };
    let sources: Vec<Source<'_>> = text
        .split("\n===\n")
        .zip(["template-oms.yaml", "template-ims.yaml"])
        .map(|(text, name)| Source { name, text })
        .collect();
    let loaded = Topology::load(&sources, &Parameters::default());
    let again = Topology::load(&sources, &Parameters::default());
    assert_eq!(format!("{loaded:?}"), format!("{again:?}"), "the same text, the same topology");
    let Ok(topology) = loaded else { return Corpus::Keep };

    let redriven = topology.queues.iter().filter_map(|queue| queue.redrive.as_ref());
    let targets = topology.rules.iter().flat_map(|rule| &rule.targets);
    let fed = topology.functions.iter().flat_map(|function| &function.queues);
    let named = redriven
        .map(|redrive| &redrive.dead_letter_queue)
        .chain(targets.flat_map(|target| [Some(&target.queue), target.dead_letter_queue.as_ref()]).flatten())
        .chain(fed.map(|source| &source.queue))
        .chain(&topology.pipe.dead_letter_queue);
    for queue in named {
        assert!(topology.queue(queue).is_some(), "nobody declares queue {queue}");
    }
    assert!(topology.tables.iter().any(|table| table.name == topology.pipe.table), "{:?}", topology.pipe);
    Corpus::Keep
});
