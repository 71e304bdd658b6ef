//! A recurrent layer that reads each row from both ends, written once for every machine.
//!
//! ```text
//!     x ──┬───────────► layer → ──► h→ ─────────┐
//!         └─ reversed ► layer ← ──► h← reversed ┴─► y = [ h→ ; h← ], twice as wide
//! ```
//!
//! Two layers of the same sizes, with weights and starts of their own, which do not need each other: a
//! machine works on both at once. Each row is reversed within its own length ([`Steps::reversed`]), so
//! there is no padding to step over. What stands at a position has seen the whole row: this is for
//! answers of which there is one a row, and never for the next item, which it would have seen.

use layout::{Keep, RecurrentDims, RecurrentParams, RecurrentStart, RecurrentTape, Steps};

use crate::Device;

/// One for each direction of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Directions<T> {
    /// Of the layer that reads from the first step to the last.
    pub forward: T,
    /// Of the layer that reads from the last step to the first.
    pub reverse: T,
}

impl<T> Directions<T> {
    /// The forward direction, then the reverse one.
    pub fn from_fn(mut of: impl FnMut(usize) -> T) -> Self {
        Self { forward: of(0), reverse: of(1) }
    }

    /// A reference to each.
    pub fn as_ref(&self) -> Directions<&T> {
        Directions { forward: &self.forward, reverse: &self.reverse }
    }

    /// Another value in each place.
    pub fn map<U>(self, mut f: impl FnMut(T) -> U) -> Directions<U> {
        Directions { forward: f(self.forward), reverse: f(self.reverse) }
    }
}

/// What the forward pass of both directions keeps, and room for the backward pass.
#[derive(Debug, Clone, Default)]
pub struct BidirectionalTape<M> {
    /// The layers' own tapes. Slot 0 of each is where its rows start; of the reverse direction that is
    /// their last step.
    pub layers: Directions<RecurrentTape<M>>,
    /// [`Steps::reversed`].
    reversed: Vec<u32>,
    /// What the reverse direction reads, `[N, I]`.
    x: M,
    /// ∂L/∂h, `[N, R]`, and ∂L/∂z, `[N, G·H]`.
    dh: Directions<M>,
    dz: Directions<M>,
    /// What the reverse direction gives to x, in its own order, `[N, I]`.
    dx: M,
}

impl<M: Clone + Default + Send + Sync> BidirectionalTape<M> {
    /// Shape and zero start of both directions for a batch, as [`Device::start`].
    pub fn start<D: Device<Matrix = M>>(
        &mut self,
        device: &D,
        steps: &Steps,
        dims: RecurrentDims,
        keep: Keep,
    ) {
        steps.reversed(&mut self.reversed);
        device.start(&mut self.layers.forward, steps, dims, keep);
        device.start(&mut self.layers.reverse, steps, dims, keep);
    }
}

/// The weights of a layer.
#[derive(Debug)]
pub enum LayerWeights<'a, D: Device> {
    /// As they are learned.
    Learned(&'a RecurrentParams<D::Matrix>),
    /// Laid out for answers.
    Packed(&'a D::PackedRecurrent),
}

impl<D: Device> LayerWeights<'_, D> {
    /// [`Device::recurrent_forward`], with weights in either form.
    pub fn forward(
        &self,
        device: &D,
        x: Option<&D::Matrix>,
        steps: &Steps,
        tape: &mut RecurrentTape<D::Matrix>,
    ) {
        match self {
            Self::Learned(params) => device.recurrent_forward(params, x, steps, tape),
            Self::Packed(packed) => device.recurrent_forward_packed(packed, x, steps, tape),
        }
    }
}

/// Runs both directions over a batch, from the starts in the slots 0 of the tape.
///
/// | argument | shape     | on entry                                    | on return |
/// |----------|-----------|---------------------------------------------|-----------|
/// | `x`      | `[N, I]`  | the input                                   | untouched |
/// | `tape`   | see type  | [`BidirectionalTape::start`], for these steps | filled  |
/// | `y`      | `[N, 2R]` | anything                                    | replaced  |
///
/// # Panics
///
/// As [`Device::recurrent_forward`], and where the tape was started for another batch.
pub fn bidirectional_forward<D: Device>(
    device: &D,
    weights: &Directions<LayerWeights<'_, D>>,
    x: &D::Matrix,
    steps: &Steps,
    tape: &mut BidirectionalTape<D::Matrix>,
    y: &mut D::Matrix,
) {
    let BidirectionalTape {
        layers: Directions { forward, reverse }, reversed, x: x_reversed, ..
    } = tape;
    assert_eq!(reversed.len(), steps.positions(), "a tape started for this batch");
    device.gather(x, reversed, x_reversed);
    device.at_once(
        || weights.forward.forward(device, Some(x), steps, forward),
        || weights.reverse.forward(device, Some(x_reversed), steps, reverse),
    );
    device.directions_forward(reversed, &forward.h, &reverse.h, y);
}

/// Undoes [`bidirectional_forward`].
///
/// ```text
///     dx_p = dx→_p + dx←_{r(p)}
/// ```
///
/// | argument | shape     | on entry                            | on return |
/// |----------|-----------|-------------------------------------|-----------|
/// | `dy`     | `[N, 2R]` | ∂L/∂y                               | untouched |
/// | `grads`  | as params | what other uses gave                | added to  |
/// | `dx`     | `[N, I]`  | anything                            | ∂L/∂x     |
/// | `start`  | see type  | anything, where it is wanted        | replaced  |
///
/// # Panics
///
/// As [`Device::recurrent_backward`].
#[allow(clippy::too_many_arguments)]
pub fn bidirectional_backward<D: Device>(
    device: &D,
    params: Directions<&RecurrentParams<D::Matrix>>,
    x: &D::Matrix,
    steps: &Steps,
    tape: &mut BidirectionalTape<D::Matrix>,
    dy: &D::Matrix,
    grads: &mut Directions<RecurrentParams<D::Matrix>>,
    dx: &mut D::Matrix,
    start: Option<&mut Directions<RecurrentStart<D::Matrix>>>,
) {
    let BidirectionalTape { layers, reversed, x: x_reversed, dh, dz, dx: dx_reversed } = tape;
    device.directions_backward(reversed, dy, &mut dh.forward, &mut dh.reverse);
    let (start_forward, start_reverse) = match start {
        Some(Directions { forward, reverse }) => (Some(forward), Some(reverse)),
        None => (None, None),
    };
    let back = |params, x, tape, dh, grads, dz, dx, start| {
        device.recurrent_backward(params, Some(x), steps, tape, dh, grads, dz, Some(dx), start);
    };
    let Directions { forward: dh_forward, reverse: dh_reverse } = dh.as_ref();
    device.at_once(
        || {
            let (tape, grads, dz) = (&layers.forward, &mut grads.forward, &mut dz.forward);
            back(params.forward, x, tape, dh_forward, grads, dz, &mut *dx, start_forward);
        },
        || {
            let (tape, grads, dz) = (&layers.reverse, &mut grads.reverse, &mut dz.reverse);
            let x = &*x_reversed;
            back(params.reverse, x, tape, dh_reverse, grads, dz, dx_reversed, start_reverse);
        },
    );
    device.embedding_backward(reversed, dx_reversed, dx);
}
