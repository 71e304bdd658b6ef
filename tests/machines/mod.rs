//! One body on every machine, and the inputs that it starts from.

use model::Device;
use testkit::wave;

/// Tensors by name, as a body returns them.
pub(crate) type Results<M> = Vec<(&'static str, M)>;

/// Runs a body on all machines and compares what they return. `$device` is the machine's name in
/// the body, and `input` uploads a wave of a shape and a phase.
macro_rules! parity {
    ($case:expr, |$device:ident| $body:expr) => {{
        let truth = {
            let $device = model::Reference::<f64>::new();
            $body
        };
        let plain = {
            let $device = model::Reference::<f32>::new();
            $body
        };
        for path in cpu::Path::available() {
            let found = {
                let $device = model::Cpu::from(cpu::Cpu::with_path(2, path).expect("two threads"));
                model::Device::run(&$device, || $body)
            };
            assert_eq!(found.len(), truth.len());
            for ((name, found), ((_, plain), (_, truth))) in
                found.iter().zip(plain.iter().zip(&truth))
            {
                let name = format!("{path:?} {}: {name}", $case);
                testkit::assert_parity(&name, found.view(), plain.view(), truth.view());
            }
        }
    }};
}

pub(crate) use parity;

/// A wave of this shape, rounded to f32, in the machine's memory.
pub(crate) fn input<D: Device>(device: &D, rows: usize, columns: usize, phase: f64) -> D::Matrix {
    let values: Vec<f32> = wave((rows, columns), phase).iter().map(|&x| x as f32).collect();
    let mut matrix = D::Matrix::default();
    device.upload(&mut matrix, rows, columns, &values);
    matrix
}

/// What a result holds before the call: NaN, in a shape that will not do.
pub(crate) fn unset<D: Device>(device: &D) -> D::Matrix {
    let mut matrix = D::Matrix::default();
    device.upload(&mut matrix, 3, 5, &[f32::NAN; 15]);
    matrix
}
