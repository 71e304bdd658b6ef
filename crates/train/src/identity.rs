//! Whether two runs are the same one: what a resumed run is held against.

use serde_json::{Value, json};

use crate::Error;
use crate::checkpoint::{Checkpoint, State, difference};
use crate::observer::Observer;
use crate::run::{Data, Run};

/// What must be the same in the two parts of a resumed run.
pub(crate) fn identity(data: &Data, run: &Run<'_>) -> Value {
    let mut training = json!(run.training);
    if let Some(keys) = training.as_object_mut() {
        // When checkpoints are made changes nothing, nor does what is told of the run.
        keys.remove("checkpoint_seconds");
        keys.remove("recompute");
        keys.remove("files");
    }
    let mut hash = Fnv::default();
    data.train.items.iter().for_each(|&item| hash.add(u64::from(item)));
    data.train.offsets.iter().for_each(|&offset| hash.add(offset as u64));
    data.train.starts.iter().for_each(|&start| hash.add(start as u64));
    for features in [&data.train.features, data.validation.all_features()] {
        features.labels.iter().for_each(|&label| hash.add(u64::from(label)));
        features.numbers.iter().for_each(|number| hash.add(u64::from(number.to_bits())));
    }
    for name in data.knowledge.vocabulary.names().iter() {
        name.bytes().for_each(|byte| hash.add(u64::from(byte)));
        hash.add(256);
    }
    for case in data.validation.as_slice() {
        hash.add(u64::from(case.target));
        let prefix = data.validation.prefix(case);
        prefix.iter().for_each(|&item| hash.add(u64::from(item)));
    }
    let tasks = data.tasks.as_ref().map(|tasks| {
        for lessons in [&tasks.train, &tasks.validation] {
            for (put, outcome) in lessons.asked.puts.iter().zip(&lessons.asked.outcomes) {
                [u64::from(put.user), u64::from(put.event), put.at as u64]
                    .into_iter()
                    .chain([u64::from(outcome.events), u64::from(outcome.orders)])
                    .chain([outcome.spend.to_bits(), outcome.wait as u64])
                    .for_each(|word| hash.add(word));
            }
            lessons.follows.iter().for_each(|events| hash.add(u64::from(events.len() as u32)));
            lessons.classes.iter().for_each(|&class| hash.add(u64::from(class)));
        }
        let knowledge = data.knowledge.tasks.as_ref();
        json!([tasks.settings, knowledge.map(|tasks| (&tasks.tasks, tasks.horizon, &tasks.buys))])
    });
    let vectors = (data.vectors.width > 0).then(|| {
        let mut hash = Fnv::default();
        hash.add(data.vectors.width as u64);
        data.vectors.values.iter().for_each(|number| hash.add(u64::from(number.to_bits())));
        format!("{:016x}", hash.0)
    });
    json!({
        "seed": run.seed,
        "model": run.model,
        "optimizer": run.optimizer,
        "training": training,
        "sessions": data.knowledge.sessions,
        "log": format!("{:016x}", hash.0),
        "vectors": vectors,
        "tasks": tasks,
    })
}

/// Refuses a checkpoint of another run, and warns of one that was made with other arithmetic.
pub(crate) fn check_same(
    state: &State,
    identity: &Value,
    run: &Run<'_>,
    checkpoint: &Checkpoint,
    observer: &mut dyn Observer,
) -> Result<(), Error> {
    if let Some((key, old, new)) = difference(&state.identity, identity) {
        let what = match key.as_str() {
            "log" => "the sessions that it trains on are not the same".to_owned(),
            "vectors" => "the vectors of its items are not the same".to_owned(),
            _ => format!("{key} is {old} there and {new} here"),
        };
        let reason = format!(
            "this checkpoint is of another run: {what}; give the same settings and files, or start \
             over with --force"
        );
        return Err(Error::Checkpoint { path: checkpoint.folder(), reason });
    }
    if state.kernel != run.kernel {
        observer.warn(&format!(
            "the checkpoint was made with {} arithmetic and this machine uses {}: the model will \
             not be the same to the last bit as that of an unbroken run",
            state.kernel, run.kernel
        ));
    }
    Ok(())
}

/// Fowler, Noll and Vo's hash with 64 bits, eight bytes at a time: the same on every machine.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, word: u64) {
        // The multiplication carries upwards only: fold the high half back down.
        self.0 = (self.0 ^ word).wrapping_mul(0x0000_0100_0000_01b3);
        self.0 ^= self.0 >> 32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_sees_order_and_high_bits() {
        let hash = |words: &[u64]| {
            let mut hash = Fnv::default();
            words.iter().for_each(|&word| hash.add(word));
            hash.0
        };
        assert_ne!(hash(&[1, 2]), hash(&[2, 1]));
        assert_ne!(hash(&[1 << 63]), hash(&[1 << 62]));
        assert_ne!(hash(&[0]), hash(&[0, 0]));
    }
}
