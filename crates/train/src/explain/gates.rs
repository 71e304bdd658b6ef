//! What the gates let through while a row is read.

use model::{Batch, Device, LayerTrace, Wanted};
use serde::Serialize;

use super::{Explainer, Subject};
use crate::Error;

/// Gates and states over the events that the model reads of a row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Gates {
    /// The layers, the lowest first.
    pub layers: Vec<LayerGates>,
    /// Some units of the highest layer: those whose state moves most over these events.
    pub units: Vec<UnitGates>,
    /// Why there are none.
    pub note: Option<String>,
}

/// Gates of a layer, averaged over its units.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LayerGates {
    /// The layer, counted from 0.
    pub layer: usize,
    /// What its gates are called, and the mean of each at every event.
    pub gates: Vec<(&'static str, Vec<f64>)>,
    /// Length of the cell state, √(Σ c²/H); empty where there is none.
    pub cell_norm: Vec<f64>,
    /// Length of the hidden state, likewise.
    pub hidden_norm: Vec<f64>,
}

/// Gates of a unit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct UnitGates {
    /// The layer, counted from 0.
    pub layer: usize,
    /// The unit, counted from 0.
    pub unit: usize,
    /// What its gates are called, and each at every event.
    pub gates: Vec<(&'static str, Vec<f64>)>,
    /// Its memory: the cell state, or the hidden state of a cell that has no other.
    pub state: Vec<f64>,
}

/// Units that are shown one by one.
const SHOWN: usize = 6;

impl<D: Device> Explainer<'_, D> {
    /// What happens inside while the events before a question are read.
    ///
    /// # Errors
    ///
    /// Where the model knows none of the items.
    pub fn gates(&mut self, subject: Subject) -> Result<Gates, Error> {
        let Some(seen) = self.read(subject) else {
            return Err(Error::NoData("the model knows none of the items".to_owned()));
        };
        let mut batch = Batch::with_features(self.model.config(), self.model.features());
        batch.fill_prefixes(&[seen.sequence()], Wanted::Every);
        let traces = self.model.trace(&batch, &mut self.probe)?;
        let gated = traces.iter().any(|trace| !trace.gates.is_empty());
        let note = (!gated).then(|| {
            "the cell rnn has no gates: it keeps nothing by choice. Train an LSTM or a GRU to see some"
                .to_owned()
        });
        let top = traces.len() - 1;
        Ok(Gates {
            layers: traces.iter().enumerate().map(|(l, trace)| layer(l, trace)).collect(),
            units: if gated { units(top, &traces[top]) } else { Vec::new() },
            note,
        })
    }
}

/// What of a layer is its memory, `[N, width]`.
pub(super) fn memory(trace: &LayerTrace) -> (&[f32], usize) {
    let positions = trace.gates.first().map_or(0, |gate| gate.1.len() / trace.units);
    match trace.c.is_empty() {
        false => (&trace.c, trace.units),
        true => (&trace.h, trace.h.len().checked_div(positions).unwrap_or(trace.units)),
    }
}

fn layer(number: usize, trace: &LayerTrace) -> LayerGates {
    let width = |values: &[f32]| match values.len() {
        0 => 1,
        _ if trace.c.is_empty() => trace.units,
        // A projection makes the hidden state narrower.
        _ => values.len() / (trace.c.len() / trace.units),
    };
    let mean = |values: &[f32], f: fn(f64) -> f64| -> Vec<f64> {
        let width = width(values);
        let rows = values.chunks_exact(width);
        rows.map(|row| row.iter().map(|&x| f(f64::from(x))).sum::<f64>() / width as f64).collect()
    };
    let norm = |values: &[f32]| mean(values, |x| x * x).into_iter().map(f64::sqrt).collect();
    LayerGates {
        layer: number,
        gates: trace.gates.iter().map(|(name, gate)| (*name, mean(gate, |x| x))).collect(),
        cell_norm: norm(&trace.c),
        hidden_norm: norm(&trace.h),
    }
}

/// The units whose memory has moved most, by its variance, the smaller number first of two alike.
fn units(number: usize, trace: &LayerTrace) -> Vec<UnitGates> {
    let (states, width) = memory(trace);
    let of = |values: &[f32], unit: usize| -> Vec<f64> {
        values.iter().skip(unit).step_by(width).map(|&x| f64::from(x)).collect()
    };
    let variance = |unit: usize| {
        let states = of(states, unit);
        let mean = states.iter().sum::<f64>() / states.len().max(1) as f64;
        states.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>()
    };
    let moved: Vec<f64> = (0..width).map(variance).collect();
    let mut order: Vec<usize> = (0..width).collect();
    order.sort_by(|&a, &b| moved[b].total_cmp(&moved[a]));
    let unit = |unit: usize| UnitGates {
        layer: number,
        unit,
        gates: trace.gates.iter().map(|(name, gate)| (*name, of(gate, unit))).collect(),
        state: of(states, unit),
    };
    order.into_iter().take(SHOWN).map(unit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two units over three events; the second one moves.
    fn trace() -> LayerTrace {
        let gate = |shift: f32| [0.0, 1.0, 0.25, 0.75, 0.5, 0.5].map(|x: f32| x * shift).to_vec();
        LayerTrace {
            cell: layout::Cell::Lstm,
            units: 2,
            gates: vec![("i", gate(1.0)), ("f", gate(0.5)), ("o", gate(0.0))],
            c: vec![3.0, 4.0, 3.0, 0.0, 3.0, -4.0],
            h: vec![0.5; 6],
        }
    }

    #[test]
    fn gates_are_means_over_units_and_states_have_lengths() {
        let layer = layer(1, &trace());
        assert_eq!(layer.gates[0], ("i", vec![0.5, 0.5, 0.5]));
        assert_eq!(layer.gates[1], ("f", vec![0.25, 0.25, 0.25]));
        assert_eq!(layer.cell_norm, [12.5f64.sqrt(), 4.5f64.sqrt(), 12.5f64.sqrt()]);
        assert_eq!(layer.hidden_norm, [0.5; 3]);
        // A projection to one number.
        let narrow = LayerTrace { h: vec![0.25, 0.5, 1.0], ..trace() };
        assert_eq!(super::layer(0, &narrow).hidden_norm, [0.25, 0.5, 1.0]);
    }

    #[test]
    fn the_unit_that_moves_most_is_shown_first() {
        let units = units(0, &trace());
        assert_eq!(units.iter().map(|unit| unit.unit).collect::<Vec<_>>(), [1, 0]);
        assert_eq!(units[0].state, [4.0, 0.0, -4.0]);
        assert_eq!(units[0].gates[0], ("i", vec![1.0, 0.75, 0.5]));
    }
}
