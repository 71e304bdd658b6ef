//! Answers: pictures of sessions, the scores of all items, and the best of them.

use layout::{Accumulate, Keep, TopItems, TopTask};

use crate::network::{States, Table, Workspace};
use crate::{Answer, Batch, BatchError, Device, Model};

/// Scores of every item for some wanted positions, in the memory of the host.
#[derive(Debug, Clone, Default)]
pub struct Scores {
    values: Vec<f32>,
    items: usize,
}

impl Scores {
    /// Number of wanted positions.
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.items).unwrap_or(0)
    }

    /// The scores of all items for one of them.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.values[row * self.items..][..self.items]
    }
}

/// A model that answers. What does not depend on the question (the item table with rows of length
/// one, the weights of the layers as kernels read them) is made once.
///
/// An answer is a function of its prefix alone, to the last bit: whatever else is in the batch.
pub struct Scorer<'m, D: Device> {
    model: &'m Model<D>,
    layers: Vec<D::PackedRecurrent>,
    workspace: Workspace<D::Matrix>,
    table: Option<Table<D::Matrix>>,
    bias: D::Matrix,
    repeat: Vec<f32>,
    chunk: D::Matrix,
    scores: D::Matrix,
    host: Scores,
    additions: Vec<f32>,
    top: TopItems,
}

/// About how many scores or best items are made at a time: 16 MiB of scores.
const CHUNK: usize = 1 << 22;

impl<'m, D: Device> Scorer<'m, D> {
    /// Prepares a model for answers.
    pub fn new(model: &'m Model<D>) -> Self {
        let (device, parameters) = (model.device(), model.parameters());
        let mut bias = D::Matrix::default();
        match &parameters.output_bias {
            Some(learned) => device.add(learned, Accumulate::Replace, &mut bias),
            None => {
                device.resize(&mut bias, model.items(), 1);
                device.fill(&mut bias, 0.0);
            }
        }
        let ranks = model.answers().next_item;
        let table = (ranks && model.config().temperature > 0.0).then(|| {
            let mut table = Table::default();
            device.run(|| table.prepare(device, item_table(model)));
            table
        });
        Self {
            model,
            layers: model.pack(),
            // Nothing goes back from an answer.
            workspace: Workspace::keeping(Keep::States),
            table,
            bias,
            repeat: parameters.repeat_bias.as_ref().map_or(Vec::new(), |r| device.download(r)),
            chunk: D::Matrix::default(),
            scores: D::Matrix::default(),
            host: Scores::default(),
            additions: Vec::new(),
            top: TopItems::default(),
        }
    }

    /// The states that the last batch has left which keeps them: row b those of session `sessions()[b]`.
    /// A batch that goes on ([`Batch::go_on`]) starts there.
    pub fn states(&self) -> &States<D::Matrix> {
        self.workspace.states()
    }

    /// The same, to give other states.
    pub fn states_mut(&mut self) -> &mut States<D::Matrix> {
        self.workspace.states_mut()
    }

    /// The picture of each wanted position as the scores see it, `[W, D]`, row after row in the
    /// order of [`Batch::origins`].
    ///
    /// # Errors
    ///
    /// [`BatchError`] where the batch holds an unknown item.
    pub fn represent(&mut self, batch: &Batch) -> Result<Vec<f32>, BatchError> {
        if batch.is_empty() {
            return self.model.check(batch).map(|()| Vec::new());
        }
        let pictures = self.model.pictures(&self.layers, batch, &mut self.workspace)?;
        Ok(self.model.device().download(pictures))
    }

    /// Answers the questions of a batch: for each answer of the model, in their order, C numbers a question
    /// in the order in which they were put. They are what was asked for: probabilities, expectations.
    ///
    /// # Errors
    ///
    /// [`BatchError`] where the batch or a question does not fit the model.
    pub fn answer(&mut self, batch: &Batch) -> Result<Vec<Vec<f32>>, BatchError> {
        let (model, answers) = (self.model, &self.model.answers().answers);
        if batch.is_empty() {
            return model.check(batch).map(|()| vec![Vec::new(); answers.len()]);
        }
        let outputs = model.outputs(&self.layers, batch, &mut self.workspace)?;
        let linked = |(k, (answer, outputs)): (usize, (&Answer, &D::Matrix))| {
            if batch.asked(k) == 0 {
                return Vec::new();
            }
            let mut values = model.device().download(outputs);
            values.chunks_mut(answer.outputs).for_each(|z| answer.loss.link(z));
            values
        };
        Ok(answers.iter().zip(outputs).enumerate().map(linked).collect())
    }

    /// Scores all items for each wanted position and shows them some positions at a time: `visit`
    /// gets the number of the first and their scores. Scores are logits: temperature, biases and
    /// repeat bias are in them.
    ///
    /// # Errors
    ///
    /// [`BatchError`] where the batch holds an unknown item, or the model does not rank items.
    pub fn score(
        &mut self,
        batch: &Batch,
        mut visit: impl FnMut(usize, &Scores),
    ) -> Result<(), BatchError> {
        let (model, device) = (self.model, self.model.device());
        if batch.is_empty() {
            return model.check(batch);
        }
        check_ranks(model)?;
        let pictures = model.pictures(&self.layers, batch, &mut self.workspace)?;
        let table = self.table.as_ref().map_or_else(|| item_table(model), |table| &table.rows);
        let wanted = batch.wanted().len();
        let rows = (CHUNK / model.items()).clamp(1, wanted);
        let Self { bias, repeat, chunk, scores, host, .. } = self;
        for first in (0..wanted).step_by(rows) {
            let range = first as u32..(first + rows).min(wanted) as u32;
            device.run(|| {
                device.gather(pictures, &range.clone().collect::<Vec<_>>(), chunk);
                device.scores(chunk, table, bias, scores);
                device.download_into(scores, &mut host.values);
            });
            host.items = model.items();
            for (row, w) in range.enumerate() {
                let scores = &mut host.values[row * host.items..][..host.items];
                for (item, lag) in batch.repeats(w as usize) {
                    scores[item as usize] += repeat[usize::from(lag)];
                }
            }
            visit(first, host);
        }
        Ok(())
    }

    /// Finds the `k` best items for each wanted position, and `log Σ exp` of the scores of all
    /// items, and shows them some positions at a time: `visit` gets the number of the first and
    /// their answers. The scores are those of [`Scorer::score`]; all scores of a position never
    /// exist at once.
    ///
    /// # Errors
    ///
    /// [`BatchError`] where the batch holds an unknown item, or the model does not rank items.
    pub fn best(
        &mut self,
        batch: &Batch,
        k: usize,
        mut visit: impl FnMut(usize, &TopItems),
    ) -> Result<(), BatchError> {
        let (model, device) = (self.model, self.model.device());
        if batch.is_empty() {
            return model.check(batch);
        }
        check_ranks(model)?;
        let pictures = model.pictures(&self.layers, batch, &mut self.workspace)?;
        let table = self.table.as_ref().map_or_else(|| item_table(model), |table| &table.rows);
        let Self { bias, repeat, chunk, additions, top, .. } = self;
        additions.clear();
        additions.extend(batch.repeat_lags().iter().map(|&lag| repeat[usize::from(lag)]));
        let wanted = batch.wanted().len();
        let rows = (CHUNK / k.clamp(1, model.items())).clamp(1, wanted);
        for first in (0..wanted).step_by(rows) {
            let range = first..(first + rows).min(wanted);
            let task = TopTask {
                count: k,
                log_sums: true,
                offsets: batch.repeat_offsets().get(range.start..=range.end).unwrap_or_default(),
                items: batch.repeat_items(),
                values: additions,
            };
            device.run(|| match range.len() == wanted {
                true => device.top_items(pictures, table, bias, &task, top),
                false => {
                    let positions: Vec<_> = (range.start as u32..range.end as u32).collect();
                    device.gather(pictures, &positions, chunk);
                    device.top_items(chunk, table, bias, &task, top);
                }
            });
            visit(first, top);
        }
        Ok(())
    }
}

/// Refuses a model that has not learned which item comes next.
fn check_ranks<D: Device>(model: &Model<D>) -> Result<(), BatchError> {
    if model.answers().next_item { Ok(()) } else { Err(BatchError::NoRanking) }
}

/// The rows that pictures are compared with.
fn item_table<D: Device>(model: &Model<D>) -> &D::Matrix {
    let parameters = model.parameters();
    let table = parameters.output.as_ref().or(parameters.embedding.as_ref());
    table.expect("a model without an embedding has an output table")
}
