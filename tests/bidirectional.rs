//! Both directions of a layer: PyTorch agrees, gradients are slopes, machines agree.
//!
//! The golden files are made by `golden/make_cells.py`. A body runs a layer forward and backward on a
//! machine; who calls it says what the tensors hold.

mod machines;

use layout::{Cell, Keep, Matrix, RecurrentDims, RecurrentParams, RecurrentStart, Steps};
use machines::{Results, input, parity, unset};
use model::{
    BidirectionalTape, Cpu, Device, Directions, LayerWeights, Reference, bidirectional_backward,
    bidirectional_forward,
};
use ndarray::Array2;
use testkit::tolerance::RECURRENT_ULPS;
use testkit::{Golden, Precision, assert_close, assert_gradient, falling_lengths, to_matrix, wave};

/// What other uses of a parameter have left in its gradient.
const BEFORE: f64 = 0.5;

/// What a layer reads: all of it may have a gradient.
#[derive(Clone)]
struct Layer<M> {
    dims: RecurrentDims,
    x: M,
    params: Directions<RecurrentParams<M>>,
    /// h_0 and c_0 of each direction.
    start: Directions<[M; 2]>,
}

/// What comes of it.
struct Outcome<M> {
    y: M,
    dx: M,
    grads: Directions<RecurrentParams<M>>,
    start: Directions<RecurrentStart<M>>,
}

impl<S: Precision> Layer<Matrix<S>> {
    fn map(
        dims: RecurrentDims,
        mut of: impl FnMut(&str, [usize; 2]) -> Matrix<S>,
        rows: [usize; 2],
    ) -> Self {
        let [batch, positions] = rows;
        let x = of("x", [positions, dims.input]);
        let mut each = |direction: usize| {
            let of = &mut of;
            let direction = ["forward", "reverse"][direction];
            let mut names = ["w_x", "w_h", "b"].into_iter();
            let params = dims.shapes().map(|shape| {
                let name = names.next().unwrap_or("more");
                of(&format!("{direction}.{name}"), shape)
            });
            let h_0 = of(&format!("{direction}.h_0"), [batch, dims.width()]);
            let c_0 = of(&format!("{direction}.c_0"), [batch, dims.cell_width()]);
            (params, [h_0, c_0])
        };
        let ((forward, of_forward), (reverse, of_reverse)) = (each(0), each(1));
        let start = Directions { forward: of_forward, reverse: of_reverse };
        Self { dims, x, params: Directions { forward, reverse }, start }
    }

    /// On the reference machine of this precision. Gradients of parameters start at `before`.
    fn run(&self, steps: &Steps, dy: &Matrix<S>, before: S) -> Outcome<Matrix<S>> {
        let device = Reference::<S>::new();
        let mut tape = BidirectionalTape::default();
        tape.start(&device, steps, self.dims, Keep::Gates);
        let Directions { forward, reverse } = &mut tape.layers;
        for (tape, start) in [(forward, &self.start.forward), (reverse, &self.start.reverse)] {
            for (state, start) in [&mut tape.h, &mut tape.c].into_iter().zip(start) {
                state.fill(S::nan());
                state.as_mut_slice()[..start.as_slice().len()].copy_from_slice(start.as_slice());
            }
        }
        let params = self.params.as_ref();
        let weights = params.map(LayerWeights::Learned);
        let [mut y, mut dx] = [Matrix::default(), Matrix::default()];
        bidirectional_forward(&device, &weights, &self.x, steps, &mut tape, &mut y);
        let mut grads = Directions::from_fn(|_| RecurrentParams::zeros(self.dims));
        for grads in [&mut grads.forward, &mut grads.reverse] {
            grads.iter_mut().for_each(|gradient| gradient.fill(before));
        }
        let mut start = Directions::default();
        let (wanted, x) = (Some(&mut start), &self.x);
        bidirectional_backward(
            &device, params, x, steps, &mut tape, dy, &mut grads, &mut dx, wanted,
        );
        Outcome { y, dx, grads, start }
    }

    /// Everything that has a gradient.
    fn tensors(&mut self) -> Vec<&mut Matrix<S>> {
        let mut tensors = vec![&mut self.x];
        let Directions { forward, reverse } = &mut self.params;
        let start = &mut self.start;
        for (params, start) in [(forward, &mut start.forward), (reverse, &mut start.reverse)] {
            tensors.extend(params.iter_mut());
            tensors.extend(start);
        }
        tensors
    }
}

impl<M> Outcome<M> {
    /// The gradients in the order of [`Layer::tensors`].
    fn gradients(self) -> Vec<M> {
        let Directions { forward, reverse } = self.grads;
        let mut gradients = vec![self.dx];
        for (grads, start) in [(forward, self.start.forward), (reverse, self.start.reverse)] {
            gradients.extend(grads.into_vec());
            gradients.extend([start.dh_0, start.dc_0]);
        }
        gradients
    }
}

// --- PyTorch --------------------------------------------------------------------------------------

#[test]
fn two_layers_are_those_of_pytorch() {
    for (name, cell) in [("both_lstm", Cell::Lstm), ("both_gru", Cell::Gru)] {
        stack_in::<f64>(name, cell);
        stack_in::<f32>(name, cell);
        assert!(Golden::open(name).made_by().starts_with("tests/golden/make_cells.py, PyTorch 2."));
    }
}

/// I = 5, H = 3: y of the lower layer is x of the upper one.
fn stack_in<S: Precision>(name: &str, cell: Cell) {
    let golden = Golden::open(name);
    let steps = Steps::from_lengths(&golden.integers::<usize>("lengths"));
    let rows = [steps.batch(), steps.positions()];
    let read = |key: &str| to_matrix(golden.matrix::<S>(key).view());
    let close = |key: &str, found: &Matrix<S>| {
        let (found, expected) = (found.view(), golden.matrix::<S>(key));
        assert_close(&format!("{name} {key}"), found, expected.view(), S::GOLDEN);
    };
    let layer = |number: usize, input: usize, x: Matrix<S>| {
        let dims = RecurrentDims { cell, input, hidden: 3, projection: None };
        let of = |key: &str, shape| {
            let tensor = if key == "x" { x.clone() } else { read(&format!("{number}.{key}")) };
            assert_eq!(tensor.shape(), shape, "{key}");
            tensor
        };
        Layer::map(dims, of, rows)
    };
    let check = |number: usize, outcome: Outcome<Matrix<S>>| {
        for (direction, grads, start) in [
            ("forward", outcome.grads.forward, outcome.start.forward),
            ("reverse", outcome.grads.reverse, outcome.start.reverse),
        ] {
            let RecurrentParams { w_x, w_h, b, .. } = grads;
            let RecurrentStart { dh_0, dc_0 } = start;
            let found = [("w_x", w_x), ("w_h", w_h), ("b", b), ("h_0", dh_0), ("c_0", dc_0)];
            for (key, found) in found {
                close(&format!("{number}.{direction}.d{key}"), &found);
            }
        }
    };
    let (zero, dy) = (S::zero(), read("dy"));
    let lower = layer(0, 5, read("x"));
    let unread = Matrix::from_values(rows[1], 6, vec![zero; 6 * rows[1]]);
    let upper = layer(1, 6, lower.run(&steps, &unread, zero).y);
    let outcome = upper.run(&steps, &dy, zero);
    close("y", &outcome.y);
    let below = lower.run(&steps, &outcome.dx, zero);
    close("dx", &below.dx);
    check(1, outcome);
    check(0, below);
}

// --- slopes ---------------------------------------------------------------------------------------

#[test]
fn every_gradient_of_every_cell_is_a_slope() {
    let steps = Steps::from_lengths(&[5, 3, 3, 1]);
    let with = |cell, projection| RecurrentDims { cell, input: 4, hidden: 5, projection };
    let kinds = Cell::ALL.map(|cell| with(cell, None));
    for dims in kinds.into_iter().chain([with(Cell::Lstm, Some(2))]) {
        let mut phase = 0.1;
        let of = |_: &str, [rows, columns]: [usize; 2]| {
            phase += 0.83;
            to_matrix((0.4 * wave((rows, columns), phase)).view())
        };
        let mut layer = Layer::map(dims, of, [steps.batch(), steps.positions()]);
        let dy = 0.3 * wave((steps.positions(), 2 * dims.width()), 0.4);
        let dy_matrix = to_matrix(dy.view());
        let gradients = layer.run(&steps, &dy_matrix, BEFORE).gradients();
        for (k, gradient) in gradients.iter().enumerate() {
            let tensor: Array2<f64> = layer.tensors()[k].view().to_owned();
            if tensor.is_empty() {
                continue;
            }
            let tensors = gradients.len() / 2;
            let added_to = k != 0 && (k - 1) % tensors < tensors - 2;
            let before = if added_to { BEFORE } else { 0.0 };
            let gradient = gradient.view().mapv(|slope| slope - before);
            assert_gradient(&format!("{dims:?}, tensor {k}"), &gradient, &tensor, |moved| {
                let mut layer = layer.clone();
                *layer.tensors()[k] = to_matrix(moved.view());
                (&layer.run(&steps, &dy_matrix, 0.0).y.view() * &dy).sum()
            });
        }
    }
}

// --- machines -------------------------------------------------------------------------------------

/// A layer on any machine; `packed` for the forward pass alone.
fn layer<D: Device>(device: &D, steps: &Steps, dims: RecurrentDims) -> Results<D::Matrix> {
    let tensors = |from: f64| -> RecurrentParams<D::Matrix> {
        let mut phase = from;
        dims.shapes().map(|[rows, columns]| {
            phase += 0.1;
            let size = if rows > 3 { 1.0 / (columns as f64).sqrt() } else { 1.0 };
            let values = wave((rows, columns), phase).mapv(|w| (size * w) as f32);
            let mut matrix = D::Matrix::default();
            device.upload(&mut matrix, rows, columns, values.as_slice().expect("row-major"));
            matrix
        })
    };
    let params = Directions { forward: tensors(0.0), reverse: tensors(1.1) };
    let mut grads = Directions { forward: tensors(2.0), reverse: tensors(3.0) };
    let x = input(device, steps.positions(), dims.input, 1.4);
    let dy = input(device, steps.positions(), 2 * dims.width(), 1.9);
    let mut tape = BidirectionalTape::default();
    tape.start(device, steps, dims, Keep::Gates);
    let [mut y, mut of_packed, mut dx] = [unset(device), unset(device), unset(device)];
    let packed = params.as_ref().map(|params| device.pack_recurrent(params, true));
    let weights = packed.as_ref().map(LayerWeights::Packed);
    bidirectional_forward(device, &weights, &x, steps, &mut tape, &mut of_packed);
    let params = params.as_ref();
    let weights = params.map(LayerWeights::Learned);
    bidirectional_forward(device, &weights, &x, steps, &mut tape, &mut y);
    bidirectional_backward(device, params, &x, steps, &mut tape, &dy, &mut grads, &mut dx, None);
    let mut results = vec![("y", y), ("y of packed weights", of_packed), ("dx", dx)];
    let grads = [("forward weights", grads.forward), ("reverse weights", grads.reverse)];
    for (name, grads) in grads {
        results.extend(grads.into_vec().into_iter().map(|gradient| (name, gradient)));
    }
    results
}

#[test]
fn every_machine_agrees_with_the_reference() {
    for (batch, longest, input, hidden) in
        [(1, 1, 1, 8), (2, 3, 31, 9), (31, 7, 33, 31), (65, 4, 3, 127), (13, 2, 16, 129)]
    {
        let steps = &falling_lengths(batch, longest);
        for cell in Cell::ALL {
            let dims = RecurrentDims { cell, input, hidden, projection: None };
            let case = format!("T{longest} B{batch} {dims:?}");
            parity!(case, RECURRENT_ULPS, |device| layer(&device, steps, dims));
        }
    }
}

#[test]
fn one_two_and_seven_threads_give_the_same_bits() {
    // Few rows with large weights, which a team shares, and many with small ones.
    for (steps, hidden) in [(falling_lengths(9, 6), 200), (falling_lengths(150, 9), 40)] {
        for cell in [Cell::Lstm, Cell::Gru] {
            let dims = RecurrentDims { cell, input: 20, hidden, projection: None };
            for path in cpu::Path::available() {
                let run = |threads: usize| {
                    let device = Cpu::from(cpu::Cpu::with_path(threads, path).expect("threads"));
                    device.run(|| layer(&device, &steps, dims))
                };
                let expected = run(1);
                for threads in [2, 7] {
                    for ((name, found), (_, expected)) in run(threads).iter().zip(&expected) {
                        let case = format!("{path:?} {dims:?}, {threads} threads: {name}");
                        testkit::assert_same_bits(&case, found.view(), expected.view());
                    }
                }
            }
        }
    }
}
