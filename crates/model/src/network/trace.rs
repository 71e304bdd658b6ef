//! What gates let through and memory holds, position after position.

use layout::Cell;

use super::probe::Probe;
use super::stack::Layers;
use super::{Pass, run};
use crate::{Batch, BatchError, Device, Model};

/// What the gates of a layer let through, and its states, position after position in the order of
/// [`Batch::origins`].
#[derive(Debug, Clone, PartialEq)]
pub struct LayerTrace {
    /// Which equations it computes.
    pub cell: Cell,
    /// Number of units H.
    pub units: usize,
    /// Its gates by name, each `[N, H]`, all in [0, 1]; none where a cell has none.
    pub gates: Vec<(&'static str, Vec<f32>)>,
    /// Cell states, `[N, H]`; empty where there are none.
    pub c: Vec<f32>,
    /// Hidden states, `[N, R]`.
    pub h: Vec<f32>,
}

impl LayerTrace {
    /// The gate that says how much of what a unit held stays: f, or the z of a GRU.
    pub fn keeping(&self) -> Option<&[f32]> {
        let kept = self.gates.iter().find(|(name, _)| ["f", "z"].contains(name));
        kept.map(|(_, values)| values.as_slice())
    }
}

impl<D: Device> Model<D> {
    /// Gates and states of every layer at every position, the lowest layer first.
    ///
    /// # Errors
    ///
    /// [`BatchError`] where the batch does not fit the model.
    pub fn trace(
        &self,
        batch: &Batch,
        probe: &mut Probe<D::Matrix>,
    ) -> Result<Vec<LayerTrace>, BatchError> {
        self.check(batch)?;
        let (device, parameters, workspace) =
            (self.device(), self.parameters(), &mut probe.workspace);
        self.check_start(batch, workspace)?;
        let pass = Pass::of(self, batch, None);
        device.run(|| run(&pass, parameters, Layers::Learned(&parameters.recurrent), workspace));
        let rows = batch.steps().batch();
        let layer = |(l, tape): (usize, &layout::RecurrentTape<D::Matrix>)| {
            let dims = self.config().dims(l);
            // Behind the start of each row.
            let states = |matrix: &D::Matrix| {
                let [_, width] = device.shape(matrix);
                device.download(matrix).split_off(rows * width)
            };
            LayerTrace {
                cell: dims.cell,
                units: dims.hidden,
                gates: gates(dims.cell, dims.hidden, &device.download(&tape.a)),
                c: states(&tape.c),
                h: states(&tape.h),
            }
        };
        Ok(workspace.stack.tapes().iter().enumerate().map(layer).collect())
    }
}

/// The gates of a cell out of its activated blocks, `[N, G·H]`; the candidate is none of them.
fn gates(cell: Cell, hidden: usize, a: &[f32]) -> Vec<(&'static str, Vec<f32>)> {
    let blocks: &[(&'static str, usize)] = match cell {
        Cell::Lstm | Cell::Peephole | Cell::LayerNorm => &[("i", 0), ("f", 1), ("o", 3)],
        Cell::Coupled => &[("f", 0), ("o", 2)],
        Cell::Gru => &[("r", 0), ("z", 1)],
        Cell::Rnn => &[],
    };
    let rows = a.chunks_exact(cell.gates() * hidden);
    let block = |&(name, k): &(&'static str, usize)| {
        (name, rows.clone().flat_map(|row| &row[k * hidden..][..hidden]).copied().collect())
    };
    let mut gates: Vec<(&'static str, Vec<f32>)> = blocks.iter().map(block).collect();
    if cell == Cell::Coupled {
        let entering = gates[0].1.iter().map(|f| 1.0 - f).collect();
        gates.insert(0, ("i", entering));
    }
    gates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gates_are_told_from_candidates() {
        let a = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0];
        let names = |cell| {
            let gates = gates(cell, 2, &a[..cell.gates() * 2]);
            gates.into_iter().map(|(name, values)| (name, values[0])).collect::<Vec<_>>()
        };
        assert_eq!(names(Cell::Lstm), [("i", 1.0), ("f", 3.0), ("o", 7.0)]);
        assert_eq!(names(Cell::Gru), [("r", 1.0), ("z", 3.0)]);
        assert_eq!(names(Cell::Coupled), [("i", 0.0), ("f", 1.0), ("o", 5.0)]);
        assert_eq!(names(Cell::Rnn), []);
    }
}
