//! One LSTM layer, forward and backward, on a card and in the reference, from the same inputs.

use cuda::{
    Card, DeviceMatrix, DeviceSteps, Error, LstmGrads, LstmTape, Rung, Scratch, sequence_backward,
    sequence_forward, upload_params,
};
use layout::{Matrix, RecurrentDims, RecurrentParams, RecurrentTape, Steps};
use ndarray::{Array2, NdFloat};
use reference::{Arrivals, SequenceGrads, SequenceScratch};
use testkit::wave;

/// A layer and a batch.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) steps: Steps,
    pub(crate) input: usize,
    pub(crate) hidden: usize,
    /// Whether there is an input; without, its share of the gates is handed over ready made.
    pub(crate) dense: bool,
}

/// Tensors by name.
pub(crate) type Results<S> = Vec<(&'static str, Matrix<S>)>;

impl Case {
    fn dims(&self) -> RecurrentDims {
        RecurrentDims::lstm(self.input, self.hidden)
    }

    /// Parameters, or what their gradients start from: as large as learned ones are.
    fn params(&self, mut phase: f64) -> RecurrentParams<Matrix<f32>> {
        self.dims().shapes().map(|[rows, columns]| {
            phase += 0.1;
            let size = if rows > 1 { 1.0 / (columns as f64).sqrt() } else { 1.0 };
            scaled(rows, columns, phase, size)
        })
    }

    fn x(&self) -> Matrix<f32> {
        scaled(self.steps.positions(), self.input, 1.4, 1.0)
    }

    fn ready_made(&self) -> Matrix<f32> {
        scaled(self.steps.positions(), 4 * self.hidden, 1.8, 1.0)
    }

    fn start(&self, phase: f64) -> Matrix<f32> {
        scaled(self.steps.batch(), self.hidden, phase, 0.8)
    }

    fn dh_above(&self) -> Matrix<f32> {
        scaled(self.steps.positions(), self.hidden, 1.9, 1.0)
    }

    /// The layer on a card.
    pub(crate) fn on_card<C: Card>(&self, card: &C, rung: Rung) -> Result<Results<f32>, Error> {
        let steps = DeviceSteps::upload(card, &self.steps)?;
        let params = upload_params(card, &self.params(0.0))?;
        let x = self.dense.then(|| DeviceMatrix::upload(card, &self.x())).transpose()?;
        let mut tape = LstmTape::new(card, &self.steps, self.hidden)?;
        if !self.dense {
            tape.a.write(card, self.ready_made().as_slice())?;
        }
        tape.c.write(card, self.start(1.5).as_slice())?;
        tape.h.write(card, self.start(1.6).as_slice())?;
        sequence_forward(card, rung, &params, x.as_ref(), &steps, &mut tape)?;

        let dh_above = DeviceMatrix::upload(card, &self.dh_above())?;
        let mut scratch = Scratch::new(card)?;
        let mut dparams = upload_params(card, &self.params(2.0))?;
        let mut grads = LstmGrads::new(card, &self.steps, self.dims(), self.dense)?;
        sequence_backward(
            card,
            rung,
            &params,
            x.as_ref(),
            &steps,
            &tape,
            &dh_above,
            &mut dparams,
            &mut grads,
            &mut scratch,
        )?;
        let mut results = vec![
            ("a", tape.a.download(card)?),
            ("c", tape.c.download(card)?),
            ("h", tape.h.download(card)?),
            ("dz", grads.dz.download(card)?),
            ("dh_0", grads.dh_0.download(card)?),
            ("dc_0", grads.dc_0.download(card)?),
            ("dw_h", dparams.w_h.download(card)?),
            ("db", dparams.b.download(card)?),
            ("dw_x", dparams.w_x.download(card)?),
        ];
        if let Some(dx) = &grads.dx {
            results.push(("dx", dx.download(card)?));
        }
        Ok(results)
    }

    /// The layer in the reference, in f32 or f64.
    pub(crate) fn in_reference<S: NdFloat + Default>(&self) -> Results<S> {
        let real = |matrix: &Matrix<f32>| {
            let real = |&value: &f32| S::from(value).expect("f32 is f32 and f64");
            Matrix::from_values(matrix.rows(), matrix.columns(), matrix.as_slice().iter().map(real))
        };
        let params = self.params(0.0).map(|matrix| real(&matrix));
        let mut tape = RecurrentTape::default();
        tape.start(&self.steps, self.dims());
        for (state, start) in [(&mut tape.c, self.start(1.5)), (&mut tape.h, self.start(1.6))] {
            let start = real(&start);
            state.as_mut_slice()[..start.as_slice().len()].copy_from_slice(start.as_slice());
        }
        let x = real(&self.x());
        if !self.dense {
            tape.a = real(&self.ready_made());
        }
        let x = self.dense.then(|| x.view());
        let views = params.as_ref().map(Matrix::view);
        reference::sequence_forward(
            &views,
            x,
            &self.steps,
            &mut tape.as_mut().map(Matrix::view_mut),
        );

        let (positions, batch) = (self.steps.positions(), self.steps.batch());
        let mut dparams = self.params(2.0).map(|matrix| real(&matrix));
        let mut dz = Matrix::zeros(positions, 4 * self.hidden);
        let mut dx = Matrix::zeros(positions, self.input);
        let (mut dh_0, mut dc_0) =
            (Matrix::zeros(batch, self.hidden), Matrix::zeros(batch, self.hidden));
        let dh_above = real(&self.dh_above());
        let arrivals = Arrivals { dh_above: dh_above.view(), dc_last: None };
        let mut grads = SequenceGrads {
            params: dparams.as_mut().map(Matrix::view_mut),
            dz: dz.view_mut(),
            dx: self.dense.then(|| dx.view_mut()),
            dh_0: dh_0.view_mut(),
            dc_0: dc_0.view_mut(),
        };
        let mut scratch = SequenceScratch::new(&self.steps, &views);
        let kept = tape.as_ref().map(Matrix::view);
        reference::sequence_backward(
            &views,
            x,
            &self.steps,
            &kept,
            arrivals,
            &mut grads,
            &mut scratch,
        );
        let RecurrentParams { w_x, w_h, b, .. } = dparams;
        let mut results = vec![
            ("a", tape.a),
            ("c", tape.c),
            ("h", tape.h),
            ("dz", dz),
            ("dh_0", dh_0),
            ("dc_0", dc_0),
            ("dw_h", w_h),
            ("db", b),
            ("dw_x", w_x),
        ];
        if self.dense {
            results.push(("dx", dx));
        }
        results
    }
}

fn scaled(rows: usize, columns: usize, phase: f64, size: f64) -> Matrix<f32> {
    let values: Array2<f64> = wave((rows, columns), phase);
    Matrix::from_values(rows, columns, values.iter().map(|&value| (size * value) as f32))
}
