//! Flags of the verbs that measure the engine.

use std::path::PathBuf;

use clap::Args;
use model::CellKind;

use crate::bench::What;

#[derive(Debug, Args)]
pub(crate) struct Bench {
    /// What to time
    #[arg(value_name = "WHAT", value_enum)]
    pub(crate) what: What,
    /// Sizes such as T50,B64,I128,H256, if need be with L2, V10000 and lengths=skew; may be given
    /// again and again [default: ten of them, four steps, or two of score]
    #[arg(long, value_name = "SHAPE")]
    pub(crate) shape: Vec<String>,
    /// forward, training or step [default: all that WHAT has]
    #[arg(long, value_name = "NAME")]
    pub(crate) mode: Option<String>,
    /// The recurrent cell of sequence, stream and train [default: lstm]. GFLOP/s count 8*T*B*H*(I+H)
    /// for lstm, lstm+peephole and lstm+layernorm, 6 in place of the 8 for gru and lstm+coupled, 2 for
    /// rnn; with a projection to P, 8*T*B*H*(I+P) (6 if coupled) and 2*T*B*H*P more
    #[arg(long, value_name = "NAME")]
    pub(crate) cell: Option<CellKind>,
    /// The numbers it computes in: f32 [default: f32]
    #[arg(long, value_name = "NAME")]
    pub(crate) dtype: Option<String>,
    /// On a card, how steps are taken: auto, v1 (plain), v2 (a product and a kernel a step), v3 (all
    /// steps in one launch) [default: auto]
    #[arg(long, value_name = "NAME")]
    pub(crate) kernels: Option<String>,
    /// Seconds for each result; five samples are taken in any case [default: 1]
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    pub(crate) seconds: Option<f64>,
}

#[derive(Debug, Args)]
pub(crate) struct GpuCheck {
    /// Sizes to time, such as T100,B64,I512,H512 or T200,B512,I128,H128,lengths=skew; may be given again
    /// and again [default: twelve of them]
    #[arg(long, value_name = "SHAPE")]
    pub(crate) shape: Vec<String>,
    /// Seconds of one of the eleven samples of a result
    #[arg(long, value_name = "X", default_value_t = 0.02)]
    pub(crate) sample_s: f64,
    /// Compare, but time nothing
    #[arg(long)]
    pub(crate) no_times: bool,
    /// The script that times PyTorch: benches/peers/gpu_sequence.py
    #[arg(long, value_name = "FILE")]
    pub(crate) peer: Option<PathBuf>,
    /// The Python to run it with
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    pub(crate) python: String,
}
