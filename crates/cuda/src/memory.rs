//! Matrices, batches and the memory of a layer on a card.

use layout::{Matrix, RecurrentDims, RecurrentParams, ShapeError, Steps, check_shape};

use crate::{Card, Error};

/// A row-major matrix on a card. Its buffer only grows.
#[derive(Debug)]
pub struct DeviceMatrix<C: Card> {
    pub(crate) values: C::Floats,
    rows: usize,
    columns: usize,
}

impl<C: Card> DeviceMatrix<C> {
    /// A matrix that holds anything.
    ///
    /// # Errors
    ///
    /// Where the card has no room.
    pub fn new(card: &C, rows: usize, columns: usize) -> Result<Self, Error> {
        Ok(Self { values: card.floats(rows * columns)?, rows, columns })
    }

    /// A copy of a matrix of the host.
    ///
    /// # Errors
    ///
    /// As [`DeviceMatrix::new`], and what the driver says.
    pub fn upload(card: &C, matrix: &Matrix<f32>) -> Result<Self, Error> {
        let mut copy = Self::new(card, matrix.rows(), matrix.columns())?;
        copy.write(card, matrix.as_slice())?;
        Ok(copy)
    }

    /// Replaces the first rows.
    ///
    /// # Errors
    ///
    /// What the driver says.
    pub fn write(&mut self, card: &C, values: &[f32]) -> Result<(), Error> {
        debug_assert!(values.len() <= self.rows * self.columns);
        card.write(&mut self.values, values)
    }

    /// A copy on the host.
    ///
    /// # Errors
    ///
    /// What the driver says.
    pub fn download(&self, card: &C) -> Result<Matrix<f32>, Error> {
        let mut matrix = Matrix::zeros(self.rows, self.columns);
        card.read(&self.values, matrix.as_mut_slice())?;
        Ok(matrix)
    }

    /// Another shape; the contents become unspecified.
    ///
    /// # Errors
    ///
    /// Where the card has no room.
    pub fn resize(&mut self, card: &C, rows: usize, columns: usize) -> Result<(), Error> {
        if card.len(&self.values) < rows * columns {
            self.values = card.floats(rows * columns)?;
        }
        (self.rows, self.columns) = (rows, columns);
        Ok(())
    }

    /// `[rows, columns]`
    pub fn shape(&self) -> [usize; 2] {
        [self.rows, self.columns]
    }

    /// Number of entries.
    pub(crate) fn entries(&self) -> usize {
        self.rows * self.columns
    }
}

/// A batch's layout, and what of it the kernels read.
#[derive(Debug)]
pub struct DeviceSteps<C: Card> {
    steps: Steps,
    /// Where each step begins, `[T + 1]`.
    pub(crate) offsets: C::Ints,
}

impl<C: Card> DeviceSteps<C> {
    /// Hands a layout to a card.
    ///
    /// # Errors
    ///
    /// What the driver says, and where kernels cannot count so many positions.
    pub fn upload(card: &C, steps: &Steps) -> Result<Self, Error> {
        let first = |t| if t < steps.count() { steps.range(t).start } else { steps.positions() };
        let offsets: Vec<i32> =
            (0..=steps.count()).map(|t| int(first(t))).collect::<Result<_, _>>()?;
        let mut copy = card.ints(offsets.len())?;
        card.write_ints(&mut copy, &offsets)?;
        Ok(Self { steps: steps.clone(), offsets: copy })
    }

    /// The layout.
    pub fn steps(&self) -> &Steps {
        &self.steps
    }
}

/// What the forward pass of an LSTM keeps: `layout::RecurrentTape`, as far as this cell has it.
#[derive(Debug)]
pub struct LstmTape<C: Card> {
    /// Activated gates, `[N, 4H]`; before, `x·w_xᵀ`.
    pub a: DeviceMatrix<C>,
    /// Cell states in slots, `[B + N, H]`; slot 0 is the start.
    pub c: DeviceMatrix<C>,
    /// Hidden states in slots, `[B + N, H]`; slot 0 is the start.
    pub h: DeviceMatrix<C>,
}

impl<C: Card> LstmTape<C> {
    /// Room for a batch. The caller writes slot 0.
    ///
    /// # Errors
    ///
    /// Where the card has no room.
    pub fn new(card: &C, steps: &Steps, hidden: usize) -> Result<Self, Error> {
        Ok(Self {
            a: DeviceMatrix::new(card, steps.positions(), 4 * hidden)?,
            c: DeviceMatrix::new(card, steps.slots(), hidden)?,
            h: DeviceMatrix::new(card, steps.slots(), hidden)?,
        })
    }
}

/// What backward gives beside the gradients of the weights; all replaced.
#[derive(Debug)]
pub struct LstmGrads<C: Card> {
    /// ∂L/∂z, `[N, 4H]`.
    pub dz: DeviceMatrix<C>,
    /// ∂L/∂x, `[N, I]`, where there is an input.
    pub dx: Option<DeviceMatrix<C>>,
    /// ∂L/∂h of the start, `[B, H]`.
    pub dh_0: DeviceMatrix<C>,
    /// ∂L/∂c of the start, `[B, H]`.
    pub dc_0: DeviceMatrix<C>,
}

impl<C: Card> LstmGrads<C> {
    /// Room for a batch.
    ///
    /// # Errors
    ///
    /// Where the card has no room.
    pub fn new(card: &C, steps: &Steps, dims: RecurrentDims, with_dx: bool) -> Result<Self, Error> {
        let RecurrentDims { input, hidden, .. } = dims;
        let dx = with_dx.then(|| DeviceMatrix::new(card, steps.positions(), input)).transpose()?;
        Ok(Self {
            dz: DeviceMatrix::new(card, steps.positions(), 4 * hidden)?,
            dx,
            dh_0: DeviceMatrix::new(card, steps.batch(), hidden)?,
            dc_0: DeviceMatrix::new(card, steps.batch(), hidden)?,
        })
    }
}

/// Room that means nothing between calls. It grows to what the largest batch wants.
#[derive(Debug)]
pub struct Scratch<C: Card> {
    /// The sum of both arrivals, `[B, H]`.
    pub(crate) dh: DeviceMatrix<C>,
    /// What each position started from, `[N, H]`.
    pub(crate) h_before: DeviceMatrix<C>,
    /// Sums of stretches of rows.
    pub(crate) sums: DeviceMatrix<C>,
    /// What blocks give each other.
    pub(crate) shares: DeviceMatrix<C>,
}

impl<C: Card> Scratch<C> {
    /// None yet.
    ///
    /// # Errors
    ///
    /// What the driver says.
    pub fn new(card: &C) -> Result<Self, Error> {
        let none = || DeviceMatrix::new(card, 0, 0);
        Ok(Self { dh: none()?, h_before: none()?, sums: none()?, shares: none()? })
    }
}

/// The parameters of a layer on a card.
///
/// # Errors
///
/// As [`DeviceMatrix::upload`].
pub fn upload_params<C: Card>(
    card: &C,
    params: &RecurrentParams<Matrix<f32>>,
) -> Result<RecurrentParams<DeviceMatrix<C>>, Error> {
    dims_of(params.cell, params.p.is_none() && params.w_p.is_none() && params.norm.is_none())?;
    Ok(RecurrentParams::lstm(
        DeviceMatrix::upload(card, &params.w_x)?,
        DeviceMatrix::upload(card, &params.w_h)?,
        DeviceMatrix::upload(card, &params.b)?,
    ))
}

/// Refuses cells that have no kernels.
fn dims_of(cell: layout::Cell, plain: bool) -> Result<(), Error> {
    if cell == layout::Cell::Lstm && plain { Ok(()) } else { Err(Error::OtherCell) }
}

/// The sizes that the parameters agree on. Without an input, `w_x` is not looked at.
pub(crate) fn checked<C: Card>(
    params: &RecurrentParams<DeviceMatrix<C>>,
    with_input: bool,
) -> Result<RecurrentDims, Error> {
    dims_of(params.cell, params.p.is_none() && params.w_p.is_none() && params.norm.is_none())?;
    let dims = RecurrentDims::lstm(params.w_x.columns, params.w_h.columns);
    let shapes = dims.shapes();
    check_shape("w_h", "[4H, H]", shapes.w_h, params.w_h.shape())?;
    if with_input {
        check_shape("w_x", "[4H, I]", shapes.w_x, params.w_x.shape())?;
    }
    check_shape("b", "[1, 4H]", shapes.b, params.b.shape())?;
    Ok(dims)
}

/// Checks what forward and backward are given of a batch.
pub(crate) fn check_tape<C: Card>(
    tape: &LstmTape<C>,
    x: Option<&DeviceMatrix<C>>,
    steps: &Steps,
    dims: RecurrentDims,
) -> Result<(), ShapeError> {
    let states = [steps.slots(), dims.hidden];
    if let Some(x) = x {
        check_shape("x", "[N, I]", [steps.positions(), dims.input], x.shape())?;
    }
    check_shape("a", "[N, 4H]", [steps.positions(), 4 * dims.hidden], tape.a.shape())?;
    check_shape("c", "[B + N, H]", states, tape.c.shape())?;
    check_shape("h", "[B + N, H]", states, tape.h.shape())
}

/// A size as the kernels count.
pub(crate) fn int(size: usize) -> Result<i32, Error> {
    i32::try_from(size).map_err(|_| Error::TooLarge(size))
}
