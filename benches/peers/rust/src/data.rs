//! The shape and the numbers that both peers are given.

/// Sizes of an LSTM stack and its batch.
#[derive(Clone, Copy)]
pub struct Shape {
    pub steps: usize,
    pub batch: usize,
    pub input: usize,
    pub hidden: usize,
    pub layers: usize,
}

impl Shape {
    /// Reads `T50,B64,I128,H256[,L2][,lengths=skew]`.
    pub fn parse(text: &str) -> Result<Shape, String> {
        let mut shape = Shape { steps: 0, batch: 0, input: 0, hidden: 0, layers: 1 };
        for word in text.split(',').filter(|&word| word != "lengths=skew") {
            let letter = word.get(..1).unwrap_or_default();
            let size = word.get(1..).and_then(|number| number.parse().ok()).filter(|&n| n > 0);
            let field = match letter {
                "T" => &mut shape.steps,
                "B" => &mut shape.batch,
                "I" => &mut shape.input,
                "H" => &mut shape.hidden,
                "L" => &mut shape.layers,
                _ => return Err(format!("--shape {text}: {word}: unknown")),
            };
            *field = size.ok_or(format!("--shape {text}: {word}: no size"))?;
        }
        if [shape.steps, shape.batch, shape.input, shape.hidden].contains(&0) {
            return Err(format!("--shape {text}: T, B, I and H are needed"));
        }
        Ok(shape)
    }
}

/// The weights of one layer as PyTorch shapes them, gates i f g o.
pub struct Layer {
    pub input: usize,
    /// `[4H, I]`
    pub w_x: Vec<f32>,
    /// `[4H, H]`
    pub w_h: Vec<f32>,
    /// `[4H]`
    pub b: Vec<f32>,
}

/// Everything a peer reads, made before the clock starts.
pub struct Numbers {
    pub shape: Shape,
    pub layers: Vec<Layer>,
    /// `[T, B, I]`
    pub x: Vec<f32>,
    /// `[T, B, H]`
    pub dh: Vec<f32>,
}

impl Numbers {
    /// Weights uniform in ±1/√H, input and dh uniform in ±1.
    pub fn new(shape: Shape) -> Numbers {
        let Shape { steps, batch, input, hidden, layers } = shape;
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut uniform = |count: usize, bound: f32| -> Vec<f32> {
            let next = |_| {
                state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
                bound * ((state >> 40) as f32 / (1 << 23) as f32 - 1.0)
            };
            (0..count).map(next).collect()
        };
        let bound = 1.0 / (hidden as f32).sqrt();
        let layers = (0..layers)
            .map(|k| {
                let input = if k == 0 { input } else { hidden };
                Layer {
                    input,
                    w_x: uniform(4 * hidden * input, bound),
                    w_h: uniform(4 * hidden * hidden, bound),
                    b: uniform(4 * hidden, bound),
                }
            })
            .collect();
        let (x, dh) = (uniform(steps * batch * input, 1.0), uniform(steps * batch * hidden, 1.0));
        Numbers { shape, layers, x, dh }
    }
}
