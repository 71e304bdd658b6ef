//! Launches of `kernels/linear.cu`, or of the card's own library in their place.

use crate::memory::int;
use crate::{Argument, Card, Error, Grid, Kernel, Product, ProductSizes};

/// Which of the kernels that compute the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Products {
    /// v1, one thread an entry.
    Plain,
    /// The card's library where there is one, or else v2, our own tiles.
    Fast,
}

/// Threads of an elementwise block, across and down.
pub(crate) const THREADS: [usize; 2] = [64, 4];
/// Blocks that a launch may have down.
const MOST_DOWN: usize = 65_535;
/// Rows that one thread of the first pass of a bias's gradient sums.
const STRETCH: usize = 64;
/// Sides of a tile of v2, and its depth.
const TILE: usize = 64;
const DEPTH: usize = 16;

/// One thread for each of `columns`, and as many as go for `rows`.
pub(crate) fn each(columns: usize, rows: usize) -> Grid {
    let down = rows.div_ceil(THREADS[1]).clamp(1, MOST_DOWN);
    let blocks = [columns.div_ceil(THREADS[0]).max(1), down];
    Grid { blocks, threads: THREADS, shared_bytes: 0, cooperative: false }
}

/// One thread for each of `columns`, in each of so many blocks down.
pub(crate) fn across(columns: usize, down: usize) -> Grid {
    /// Threads of a block.
    const THREADS: usize = 128;
    let blocks = [columns.div_ceil(THREADS).max(1), down];
    Grid { blocks, threads: [THREADS, 1], shared_bytes: 0, cooperative: false }
}

/// A product with a weight matrix; for the meaning of `first` and `second` see [`Card::product`].
pub(crate) fn product<C: Card>(
    card: &C,
    products: Products,
    product: Product,
    sizes: ProductSizes,
    first: &C::Floats,
    second: &C::Floats,
    result: &mut C::Floats,
) -> Result<(), Error> {
    let ProductSizes { rows, outputs, inputs, x_first, y_first } = sizes;
    if rows == 0 || outputs == 0 {
        return Ok(());
    }
    if inputs == 0 {
        // A sum of nothing; the other products have no result then.
        return match product {
            Product::Forward { add: false } => card.zero(result),
            _ => Ok(()),
        };
    }
    if products == Products::Fast && card.has_products() {
        return card.product(product, sizes, first, second, result);
    }
    let (x, y, w) = ((x_first + rows) * inputs, (y_first + rows) * outputs, outputs * inputs);
    let ([o, i], n) = ([int(outputs)?, int(inputs)?], int(rows)?);
    let (x_first, y_first) = (int(x_first)?, int(y_first)?);
    let (kernels, [across, down], reach, numbers) = match product {
        Product::Forward { add } => (
            [Kernel::LinearForwardV1, Kernel::LinearForwardV2],
            [outputs, rows],
            [w, x, y],
            vec![x_first, n, o, i, i32::from(add), y_first],
        ),
        Product::BackwardInput => (
            [Kernel::LinearBackwardInputV1, Kernel::LinearBackwardInputV2],
            [inputs, rows],
            [w, y, x],
            vec![y_first, n, o, i, x_first],
        ),
        Product::BackwardWeights => (
            [Kernel::LinearBackwardWeightsV1, Kernel::LinearBackwardWeightsV2],
            [inputs, outputs],
            [x, y, w],
            vec![x_first, y_first, n, o, i],
        ),
    };
    let mut arguments = vec![
        Argument::Floats { buffer: first, reach: reach[0] },
        Argument::Floats { buffer: second, reach: reach[1] },
    ];
    arguments.extend(numbers.into_iter().map(Argument::Number));
    arguments.push(Argument::FloatsMut { buffer: result, reach: reach[2] });
    let (kernel, grid) = match products {
        // The weights' gradient has a thread for each row of the result: no loop goes down further.
        Products::Plain => (kernels[0], {
            let blocks = [across.div_ceil(16), down.div_ceil(16).min(MOST_DOWN)];
            Grid { blocks, threads: [16, 16], shared_bytes: 0, cooperative: false }
        }),
        Products::Fast => (kernels[1], {
            let blocks = [across.div_ceil(TILE), down.div_ceil(TILE).min(MOST_DOWN)];
            let shared_bytes = 2 * TILE * DEPTH * size_of::<f32>();
            Grid { blocks, threads: [16, 16], shared_bytes, cooperative: false }
        }),
    };
    card.launch(kernel, grid, &mut arguments)
}

/// `y += b` in every one of `rows`.
pub(crate) fn bias_forward<C: Card>(
    card: &C,
    b: &C::Floats,
    rows: usize,
    outputs: usize,
    y: &mut C::Floats,
) -> Result<(), Error> {
    let mut arguments = [
        Argument::Floats { buffer: b, reach: outputs },
        Argument::Number(int(rows)?),
        Argument::Number(int(outputs)?),
        Argument::FloatsMut { buffer: y, reach: rows * outputs },
    ];
    card.launch(Kernel::BiasForwardV1, each(outputs, rows), &mut arguments)
}

/// `db += Σ dy`, row after row.
fn bias_backward_plain<C: Card>(
    card: &C,
    dy: &C::Floats,
    rows: usize,
    outputs: usize,
    db: &mut C::Floats,
) -> Result<(), Error> {
    let mut arguments = [
        Argument::Floats { buffer: dy, reach: rows * outputs },
        Argument::Number(int(rows)?),
        Argument::Number(int(outputs)?),
        Argument::FloatsMut { buffer: db, reach: outputs },
    ];
    card.launch(Kernel::BiasBackwardV1, across(outputs, 1), &mut arguments)
}

/// `db += Σ dy`; `Fast` sums stretches of rows first, in `sums`.
pub(crate) fn bias_backward<C: Card>(
    card: &C,
    products: Products,
    dy: &C::Floats,
    rows: usize,
    outputs: usize,
    sums: &mut crate::DeviceMatrix<C>,
    db: &mut C::Floats,
) -> Result<(), Error> {
    if products == Products::Plain {
        return bias_backward_plain(card, dy, rows, outputs, db);
    }
    let stretch = STRETCH.max(rows.div_ceil(MOST_DOWN));
    let stretches = rows.div_ceil(stretch);
    sums.resize(card, stretches, outputs)?;
    let mut arguments = [
        Argument::Floats { buffer: dy, reach: rows * outputs },
        Argument::Number(int(rows)?),
        Argument::Number(int(outputs)?),
        Argument::Number(int(stretch)?),
        Argument::FloatsMut { buffer: &mut sums.values, reach: stretches * outputs },
    ];
    card.launch(Kernel::BiasBackwardStretchesV2, across(outputs, stretches), &mut arguments)?;
    bias_backward_plain(card, &sums.values, stretches, outputs, db)
}
