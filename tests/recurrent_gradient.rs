//! Every gradient of every recurrent cell is a slope: central differences in f64.
//!
//! Each loss weights every output by a constant of its own, so that a gate, a row or a step mixed up
//! with another cannot cancel out. T, B, I, H, P are all different. Outputs that are replaced start as
//! NaN; gradients of parameters start at [`BEFORE`], since they are added to.

use layout::{Cell, Matrix, RecurrentDims, RecurrentParams, RecurrentTape, Steps};
use ndarray::{Array2, ArrayView2};
use reference::{Arrivals, SequenceGrads, SequenceScratch};
use testkit::{assert_gradient, assert_gradients, nan, to_matrix, wave};

/// What other uses of a parameter have left in its gradient.
const BEFORE: f64 = 0.5;

/// The weighted sum that makes a loss of an output.
fn weigh(output: &Array2<f64>, weight: &Array2<f64>) -> f64 {
    (output * weight).sum()
}

/// Every cell, and those with a cell state with a projection, too.
fn layers(input: usize, hidden: usize, projection: usize) -> Vec<RecurrentDims> {
    let with = |cell, projection| RecurrentDims { cell, input, hidden, projection };
    let projected = Cell::ALL.into_iter().filter(|cell| cell.has_cell_state());
    let projected: Vec<_> = projected.map(|cell| with(cell, Some(projection))).collect();
    Cell::ALL.into_iter().map(|cell| with(cell, None)).chain(projected).collect()
}

// --- the elementwise half -------------------------------------------------------------------

#[test]
fn cell_of_the_lstm() {
    let (batch, hidden) = (2, 3);
    let inputs = [wave((batch, 4 * hidden), 0.9), wave((batch, hidden), 1.7)];
    let (dh, dc_carry) = (wave((batch, hidden), 0.3), wave((batch, hidden), 2.1));
    let run = |[z, c_prev]: &[Array2<f64>; 2]| {
        let (mut a, mut c, mut h) = (z.clone(), nan(c_prev.dim()), nan(c_prev.dim()));
        reference::lstm::cell_forward(c_prev.view(), a.view_mut(), c.view_mut(), h.view_mut());
        (a, c, h)
    };

    let (a, c, _) = run(&inputs);
    let [mut dz, mut dc_prev] = [nan(a.dim()), nan(c.dim())];
    let step = reference::lstm::StepTape { a: a.view(), c_prev: inputs[1].view(), c: c.view() };
    let (dh_view, dc_view) = (dh.view(), dc_carry.view());
    reference::lstm::cell_backward(step, dh_view, dc_view, dz.view_mut(), dc_prev.view_mut());

    assert_gradients(["dz", "dc_prev"], &[dz, dc_prev], &inputs, |inputs| {
        let (_, c, h) = run(inputs);
        weigh(&h, &dh) + weigh(&c, &dc_carry)
    });
}

#[test]
fn cell_of_the_gru() {
    let (batch, hidden) = (2, 3);
    let state = (batch, hidden);
    let inputs = [wave((batch, 3 * hidden), 0.9), wave(state, 1.7), wave(state, 0.2)];
    let dh = wave(state, 0.3);
    let run = |[z, q, h_prev]: &[Array2<f64>; 3]| {
        let (mut a, mut h) = (z.clone(), nan(state));
        reference::gru::cell_forward(q.view(), h_prev.view(), a.view_mut(), h.view_mut());
        (a, h)
    };

    let (a, _) = run(&inputs);
    let [mut dz, mut dq, mut dh_prev] = [nan(a.dim()), nan(state), nan(state)];
    let [_, q, h_prev] = inputs.each_ref().map(Array2::clone);
    let step = reference::gru::StepTape { a: a.view(), q: q.view(), h_prev: h_prev.view() };
    let (dz_view, dq_view) = (dz.view_mut(), dq.view_mut());
    reference::gru::cell_backward(step, dh.view(), dz_view, dq_view, dh_prev.view_mut());

    let names = ["dz", "dq", "dh_prev"];
    assert_gradients(names, &[dz, dq, dh_prev], &inputs, |inputs| weigh(&run(inputs).1, &dh));
}

#[test]
fn standardized_rows() {
    let shape = (3, 5);
    let (y, dy_hat) = (wave(shape, 0.4), wave(shape, 2.6));
    let run = |y: &Array2<f64>| {
        let (mut y, mut deviation) = (y.clone(), nan((3, 1)));
        reference::layer_norm::standardize_forward(y.view_mut(), deviation.column_mut(0));
        (y, deviation)
    };
    let (y_hat, deviation) = run(&y);
    let mut dy = dy_hat.clone();
    reference::layer_norm::standardize_backward(y_hat.view(), deviation.column(0), dy.view_mut());
    assert_gradient("dy", &dy, &y, |y| weigh(&run(y).0, &dy_hat));
}

// --- a layer --------------------------------------------------------------------------------

/// What a layer reads, in this order: its input, its parameters in the order of the catalogue, and
/// where its rows start.
#[derive(Clone)]
struct Layer {
    dims: RecurrentDims,
    x: Array2<f64>,
    params: RecurrentParams<Array2<f64>>,
    h_0: Array2<f64>,
    c_0: Array2<f64>,
    /// What the recurrent product sees, or `[B, 0]`: all.
    mask: Array2<f64>,
    /// Zoneout: shares of the new cell and hidden states that enter.
    shares: Option<[Array2<f64>; 2]>,
}

impl Layer {
    fn new(steps: &Steps, dims: RecurrentDims, phase: f64) -> Self {
        let mut phase = phase;
        let mut next = |rows, columns| {
            phase += 0.83;
            wave((rows, columns), phase)
        };
        Self {
            dims,
            x: next(steps.positions(), dims.input),
            // Smaller weights bend the loss less, and differences meet its slope more closely.
            params: dims.shapes().map(|[rows, columns]| 0.4 * next(rows, columns)),
            h_0: next(steps.batch(), dims.width()),
            c_0: next(steps.batch(), dims.cell_width()),
            mask: Array2::zeros((steps.batch(), 0)),
            shares: None,
        }
    }

    /// With a mask on what the recurrent product sees, of factors that all differ, some of them zero.
    fn masked(self) -> Self {
        let mut mask = wave(self.h_0.dim(), 2.2).mapv(|x| 1.0 + 0.3 * x);
        mask.iter_mut().skip(3).step_by(7).for_each(|factor| *factor = 0.0);
        Self { mask, ..self }
    }

    /// With shares between 1/2 and 1 that all differ, at all positions.
    fn zoned(self) -> Self {
        let shares = [(self.c_0.ncols(), 0.6), (self.h_0.ncols(), 1.1)].map(|(columns, phase)| {
            wave((self.x.nrows(), columns), phase).mapv(|x| 0.75 + 0.25 * x)
        });
        Self { shares: Some(shares), ..self }
    }

    fn tensors(&self) -> Vec<&Array2<f64>> {
        let params = self.params.as_ref().into_vec();
        [&self.x].into_iter().chain(params).chain([&self.h_0, &self.c_0]).collect()
    }

    /// The same layer with another value in place of tensor number `k`.
    fn with(&self, k: usize, value: &Array2<f64>) -> Self {
        let mut layer = self.clone();
        let params = layer.params.as_mut().into_vec();
        let tensors = [&mut layer.x].into_iter().chain(params);
        let tensors = tensors.chain([&mut layer.h_0, &mut layer.c_0]);
        tensors.into_iter().nth(k).expect("so many tensors").assign(value);
        layer
    }

    fn params(&self) -> RecurrentParams<ArrayView2<'_, f64>> {
        self.params.as_ref().map(|tensor| tensor.view())
    }

    /// With `share`, the input's product comes ready made and `x` is not shown.
    fn forward(&self, steps: &Steps, share: Option<&Array2<f64>>) -> RecurrentTape<Matrix<f64>> {
        let mut tape = RecurrentTape::default();
        tape.start(steps, self.dims);
        if !self.mask.is_empty() {
            tape.set_mask(steps, to_matrix(self.mask.view()));
        }
        if let Some([u_c, u_h]) = &self.shares {
            tape.set_shares(steps, to_matrix(u_c.view()), to_matrix(u_h.view()));
        }
        let RecurrentTape { a, q, c, h, m, masked, zone, .. } = &mut tape;
        for part in [a, q, c, h, m, masked, &mut zone.c, &mut zone.h] {
            part.fill(f64::NAN);
        }
        let norm = &mut tape.norm;
        for part in [&mut norm.x, &mut norm.h, &mut norm.c, &mut norm.deviation] {
            part.fill(f64::NAN);
        }
        if let Some(share) = share {
            tape.a = to_matrix(share.view());
        }
        for (state, start) in [(&mut tape.h, &self.h_0), (&mut tape.c, &self.c_0)] {
            let start = start.as_standard_layout();
            state.as_mut_slice()[..start.len()].copy_from_slice(start.as_slice().expect("rows"));
        }
        let mut views = tape.as_mut().map(Matrix::view_mut);
        let x = share.is_none().then(|| self.x.view());
        reference::sequence_forward(&self.params(), x, steps, &mut views);
        tape
    }

    /// The gradients in the order of [`Layer::tensors`], and dz.
    fn backward(
        &self,
        steps: &Steps,
        share: Option<&Array2<f64>>,
        tape: &RecurrentTape<Matrix<f64>>,
        dh_above: &Array2<f64>,
        dc_last: Option<&Array2<f64>>,
    ) -> (Vec<Array2<f64>>, Array2<f64>) {
        let mut dz = nan((steps.positions(), self.params.w_h.nrows()));
        let [mut dx, mut dh_0, mut dc_0] =
            [&self.x, &self.h_0, &self.c_0].map(|tensor| nan(tensor.dim()));
        let mut dparams =
            self.params.as_ref().map(|tensor| Array2::from_elem(tensor.dim(), BEFORE));
        let mut grads = SequenceGrads {
            params: dparams.as_mut().map(|tensor| tensor.view_mut()),
            dz: dz.view_mut(),
            dx: share.is_none().then(|| dx.view_mut()),
            dh_0: dh_0.view_mut(),
            dc_0: dc_0.view_mut(),
        };
        reference::sequence_backward(
            &self.params(),
            share.is_none().then(|| self.x.view()),
            steps,
            &tape.as_ref().map(Matrix::view),
            Arrivals { dh_above: dh_above.view(), dc_last: dc_last.map(|dc| dc.view()) },
            &mut grads,
            &mut SequenceScratch::new(steps, &self.params()),
        );
        let dparams = dparams.into_vec().into_iter().map(|gradient| gradient - BEFORE);
        ([dx].into_iter().chain(dparams).chain([dh_0, dc_0]).collect(), dz)
    }

    /// Holds these gradients against central differences; the names follow the tensors.
    fn assert_gradients(&self, gradients: &[Array2<f64>], loss: impl Fn(&Self) -> f64) -> f64 {
        let mut worst = 0f64;
        for (k, (gradient, tensor)) in gradients.iter().zip(self.tensors()).enumerate() {
            if tensor.is_empty() {
                continue;
            }
            let name = format!("{:?}, tensor {k}", self.dims);
            let share =
                assert_gradient(&name, gradient, tensor, |moved| loss(&self.with(k, moved)));
            worst = worst.max(share);
        }
        worst
    }
}

/// The hidden states of the positions, without the start.
fn hidden_states(steps: &Steps, tape: &RecurrentTape<Matrix<f64>>) -> Array2<f64> {
    let (batch, h) = (steps.batch(), tape.h.view());
    Array2::from_shape_fn((steps.positions(), h.ncols()), |(p, j)| h[[batch + p, j]])
}

/// The cell state of every row after its last step.
fn last_cells(steps: &Steps, tape: &RecurrentTape<Matrix<f64>>) -> Array2<f64> {
    let (batch, c) = (steps.batch(), tape.c.view());
    Array2::from_shape_fn((batch, c.ncols()), |(b, j)| c[[batch + steps.last(b), j]])
}

#[test]
fn sequence_over_rows_of_one_length() {
    sequence(&Steps::uniform(5, 3));
}

#[test]
fn sequence_over_rows_of_different_lengths() {
    sequence(&Steps::from_lengths(&[5, 3, 1]));
}

/// Far back: what is left of a gradient after sixty steps is still a slope.
#[test]
fn sequence_over_many_steps() {
    sequence(&Steps::from_lengths(&[64, 40, 9]));
}

/// B = 3, I = 4, H = 5, P = 2 or none. Of fewer units than five, a normalised row is nearly a row of
/// signs, and central differences are too coarse for its curves.
fn sequence(steps: &Steps) {
    for dims in layers(4, 5, 2) {
        let layer = Layer::new(steps, dims, 0.1);
        layer_over(steps, &layer);
        layer_over(steps, &layer.clone().masked());
        layer_over(steps, &layer.clone().zoned());
        layer_over(steps, &layer.masked().zoned());
    }
}

fn layer_over(steps: &Steps, layer: &Layer) {
    let dims = layer.dims;
    // A loss of a hundred terms is rounded as coarsely as it is large.
    let dh_above = 0.3 * wave((steps.positions(), dims.width()), 0.4);
    let dc_last = wave(layer.c_0.dim(), 1.9);
    let loss = |layer: &Layer| {
        let tape = layer.forward(steps, None);
        weigh(&hidden_states(steps, &tape), &dh_above) + weigh(&last_cells(steps, &tape), &dc_last)
    };
    let tape = layer.forward(steps, None);
    let (gradients, _) = layer.backward(steps, None, &tape, &dh_above, Some(&dc_last));
    let worst = layer.assert_gradients(&gradients, loss);
    let (t, worst) = (steps.count(), 100.0 * worst);
    let (masked, zoned) = (!layer.mask.is_empty(), layer.shares.is_some());
    println!(
        "{dims:?}, masked {masked}, zoned {zoned}, T = {t}: worst entry at {worst:.0} % of its allowance"
    );
}

/// One-hot input: somebody else has gathered the input's share, and gets dz as its gradient. The
/// last cell state is read by nobody here.
#[test]
fn sequence_whose_input_product_comes_ready_made() {
    let steps = Steps::from_lengths(&[5, 3, 1]);
    for dims in layers(4, 5, 2) {
        let mut layer = Layer::new(&steps, dims, 0.7).masked().zoned();
        let share = wave((steps.positions(), layer.params.w_h.nrows()), 3.3);
        let dh_above = wave((steps.positions(), dims.width()), 0.4);
        // Whoever reads x or w_x reads NaN.
        layer.x.fill(f64::NAN);
        layer.params.w_x.fill(f64::NAN);
        let loss = |layer: &Layer, share: &Array2<f64>| {
            weigh(&hidden_states(&steps, &layer.forward(&steps, Some(share))), &dh_above)
        };

        let tape = layer.forward(&steps, Some(&share));
        let (gradients, dz) = layer.backward(&steps, Some(&share), &tape, &dh_above, None);
        assert!(gradients[1].iter().all(|&dw| dw == 0.0), "w_x has no part in it");
        assert_gradient("dz", &dz, &share, |share| loss(&layer, share));
        for (k, tensor) in layer.tensors().into_iter().enumerate().skip(2) {
            if !tensor.is_empty() {
                let name = format!("{dims:?}, tensor {k}");
                assert_gradient(&name, &gradients[k], tensor, |moved| {
                    loss(&layer.with(k, moved), &share)
                });
            }
        }
    }
}

/// Two layers of different cell and width; the loss reads the hidden states of both, and the last
/// cells of the lower.
#[test]
fn stack_of_two_layers() {
    let steps = Steps::from_lengths(&[5, 4, 2]);
    let n = steps.positions();
    let lower = Layer::new(&steps, RecurrentDims::lstm(4, 2), 0.1);
    let gru = RecurrentDims { cell: Cell::Gru, ..RecurrentDims::lstm(2, 6) };
    let upper = Layer::new(&steps, gru, 0.6);
    let (dh_lower, dh_upper) = (wave((n, 2), 0.4), wave((n, 6), 1.3));
    let dc_lower = wave((3, 2), 1.9);

    let run = |lower: &Layer, upper: &Layer| {
        let below = lower.forward(&steps, None);
        let upper = Layer { x: hidden_states(&steps, &below), ..upper.clone() };
        let above = upper.forward(&steps, None);
        (below, above, upper)
    };
    let loss = |lower: &Layer, upper: &Layer| {
        let (below, above, _) = run(lower, upper);
        weigh(&hidden_states(&steps, &above), &dh_upper)
            + weigh(&hidden_states(&steps, &below), &dh_lower)
            + weigh(&last_cells(&steps, &below), &dc_lower)
    };

    let (below, above, fed) = run(&lower, &upper);
    let (upper_grads, _) = fed.backward(&steps, None, &above, &dh_upper, None);
    let arriving = &dh_lower + &upper_grads[0];
    let (lower_grads, _) = lower.backward(&steps, None, &below, &arriving, Some(&dc_lower));

    lower.assert_gradients(&lower_grads, |lower| loss(lower, &upper));
    // The upper layer's x is not free: it is the lower layer's h.
    for (k, tensor) in upper.tensors().into_iter().enumerate().skip(1) {
        if !tensor.is_empty() {
            assert_gradient(&format!("upper, tensor {k}"), &upper_grads[k], tensor, |moved| {
                loss(&lower, &upper.with(k, moved))
            });
        }
    }
}
