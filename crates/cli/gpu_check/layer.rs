//! One LSTM layer with everything that a call needs: on a card, and the same in the reference.

use cuda::{
    DeviceMatrix, DeviceSteps, Gpu, LstmGrads, LstmTape, Rung, Scratch, sequence_backward,
    sequence_forward, upload_params,
};
use layout::{Keep, Matrix, RecurrentDims, RecurrentParams, RecurrentStart, RecurrentTape, Steps};
use model::{Device, Reference};

use crate::bench::values::{Purpose, layer, values};

/// Tensors by name.
pub(crate) type Tensors<S> = Vec<(&'static str, Matrix<S>)>;

/// What a layer is given, on the host.
#[derive(Debug, Clone)]
pub(crate) struct Inputs {
    pub(crate) steps: Steps,
    pub(crate) dims: RecurrentDims,
    params: RecurrentParams<Matrix<f32>>,
    x: Matrix<f32>,
    dh_above: Matrix<f32>,
}

impl Inputs {
    pub(crate) fn new(steps: Steps, input: usize, hidden: usize, seed: u64) -> Self {
        let dims = RecurrentDims::lstm(input, hidden);
        let x = values(seed, Purpose::Input, steps.positions(), input, 1.0);
        let dh_above = values(seed, Purpose::Gradient, steps.positions(), hidden, 1.0);
        Self { params: layer(seed, 0, dims), steps, dims, x, dh_above }
    }

    /// Forward and backward in the reference, from a start of zero, gradients of weights from zero.
    pub(crate) fn in_reference<S>(&self) -> Tensors<S>
    where
        Reference<S>: Device<Matrix = Matrix<S>>,
        S: Copy + Default,
    {
        let device = Reference::<S>::new();
        let upload = |from: &Matrix<f32>| {
            let mut matrix = Matrix::default();
            device.upload(&mut matrix, from.rows(), from.columns(), from.as_slice());
            matrix
        };
        let params = self.params.as_ref().map(upload);
        let (x, dh_above) = (upload(&self.x), upload(&self.dh_above));
        let mut tape = RecurrentTape::default();
        device.start(&mut tape, &self.steps, self.dims, Keep::Gates);
        device.recurrent_forward(&params, Some(&x), &self.steps, &mut tape);
        let mut dparams = RecurrentParams::zeros(self.dims);
        let (mut dz, mut dx) = (Matrix::default(), Matrix::default());
        let mut start = RecurrentStart::default();
        device.recurrent_backward(
            &params,
            Some(&x),
            &self.steps,
            &tape,
            &dh_above,
            &mut dparams,
            &mut dz,
            Some(&mut dx),
            Some(&mut start),
        );
        vec![
            ("a", tape.a),
            ("c", tape.c),
            ("h", tape.h),
            ("dz", dz),
            ("dx", dx),
            ("dh_0", start.dh_0),
            ("dc_0", start.dc_0),
            ("dw_x", dparams.w_x),
            ("dw_h", dparams.w_h),
            ("db", dparams.b),
        ]
    }
}

/// The layer on a card.
#[derive(Debug)]
pub(crate) struct OnCard<'a> {
    gpu: &'a Gpu,
    rung: Rung,
    params: RecurrentParams<DeviceMatrix<Gpu>>,
    x: DeviceMatrix<Gpu>,
    steps: DeviceSteps<Gpu>,
    tape: LstmTape<Gpu>,
    dh_above: DeviceMatrix<Gpu>,
    dparams: RecurrentParams<DeviceMatrix<Gpu>>,
    grads: LstmGrads<Gpu>,
    scratch: Scratch<Gpu>,
}

impl<'a> OnCard<'a> {
    /// Takes memory on the card and fills it: all results with NaN.
    pub(crate) fn new(gpu: &'a Gpu, rung: Rung, inputs: &Inputs) -> Result<Self, cuda::Error> {
        let Inputs { steps, dims, params, x, dh_above } = inputs;
        let nan = |matrix: &mut DeviceMatrix<Gpu>| {
            let [rows, columns] = matrix.shape();
            matrix.write(gpu, &vec![f32::NAN; rows * columns])
        };
        let mut tape = LstmTape::new(gpu, steps, dims.hidden)?;
        for matrix in [&mut tape.a, &mut tape.c, &mut tape.h] {
            nan(matrix)?;
        }
        let start = vec![0.0; steps.batch() * dims.hidden];
        tape.c.write(gpu, &start)?;
        tape.h.write(gpu, &start)?;
        let mut grads = LstmGrads::new(gpu, steps, *dims, true)?;
        for matrix in
            [&mut grads.dz, &mut grads.dh_0, &mut grads.dc_0].into_iter().chain(&mut grads.dx)
        {
            nan(matrix)?;
        }
        Ok(Self {
            gpu,
            rung,
            params: upload_params(gpu, params)?,
            x: DeviceMatrix::upload(gpu, x)?,
            steps: DeviceSteps::upload(gpu, steps)?,
            tape,
            dh_above: DeviceMatrix::upload(gpu, dh_above)?,
            dparams: upload_params(gpu, &RecurrentParams::zeros(*dims))?,
            grads,
            scratch: Scratch::new(gpu)?,
        })
    }

    pub(crate) fn forward(&mut self) -> Result<(), cuda::Error> {
        let Self { gpu, rung, params, x, steps, tape, .. } = self;
        sequence_forward(*gpu, *rung, params, Some(x), steps, tape)
    }

    pub(crate) fn backward(&mut self) -> Result<(), cuda::Error> {
        let Self { gpu, rung, params, x, steps, tape, dh_above, dparams, grads, scratch } = self;
        sequence_backward(
            *gpu,
            *rung,
            params,
            Some(x),
            steps,
            tape,
            dh_above,
            dparams,
            grads,
            scratch,
        )
    }

    /// Everything that forward and backward have left.
    pub(crate) fn results(&self) -> Result<Tensors<f32>, cuda::Error> {
        let Self { gpu, tape, grads, dparams, .. } = self;
        let mut results = Vec::new();
        let dx = grads.dx.as_ref().into_iter().map(|dx| ("dx", dx));
        let named = [("a", &tape.a), ("c", &tape.c), ("h", &tape.h), ("dz", &grads.dz)];
        let more = [
            ("dh_0", &grads.dh_0),
            ("dc_0", &grads.dc_0),
            ("dw_x", &dparams.w_x),
            ("dw_h", &dparams.w_h),
            ("db", &dparams.b),
        ];
        for (name, matrix) in named.into_iter().chain(dx).chain(more) {
            results.push((name, matrix.download(gpu)?));
        }
        Ok(results)
    }
}
