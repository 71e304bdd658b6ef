//! Zoneout in answers: the mean of what training draws.

use layout::{Matrix, RecurrentTape, Steps};

use super::*;
use crate::{Reference, Scorer, Wanted};

/// The answer to a session is the state that its rates lead to, step by step.
#[test]
fn answers_mix_old_and_new_states_by_the_rate() {
    let dropout = Dropout { zoneout_c: 0.25, zoneout_h: 0.125, ..Dropout::default() };
    let config = ModelConfig {
        embedding: 5,
        layers: 1,
        input_scale: 0.0,
        readout: Readout::Last,
        temperature: 0.0,
        repeat_lags: 0,
        embedding_std: 1.0,
        dropout,
        ..rich()
    };
    let model = Model::new(Reference::<f64>::new(), &config, ITEMS, 4).expect("valid");
    let session = [3, 7, 1, 1];
    let mut batch = Batch::new(&config);
    batch.fill_prefixes(&[&session], Wanted::Last);
    let answer = Scorer::new(&model).represent(&batch).expect("known items");

    let expected = |[c, h]: [f64; 2]| {
        let (steps, dims) = (Steps::uniform(session.len(), 1), config.dims(0));
        let mut x = Matrix::default();
        let embedding = model.parameters().embedding.as_ref().expect("an embedding");
        model.device().embedding_forward(embedding, &session, &mut x);
        let mut tape = RecurrentTape::default();
        tape.start(&steps, dims);
        let shares = [1.0 - c, 1.0 - h].map(|share| {
            let mut u = Matrix::zeros(session.len(), dims.hidden);
            u.fill(share);
            u
        });
        let [u_c, u_h] = shares;
        tape.set_shares(&steps, u_c, u_h);
        let params = &model.parameters().recurrent[0];
        model.device().recurrent_forward(params, Some(&x), &steps, &mut tape);
        tape.h.row(session.len()).to_vec()
    };
    let differs = |state: Vec<f64>| {
        let pairs = state.iter().zip(&answer);
        pairs.map(|(h, &answer)| (h - f64::from(answer)).abs()).fold(0.0, f64::max)
    };
    assert!(differs(expected([0.25, 0.125])) < 1e-6);
    for other in [[0.0, 0.0], [0.125, 0.25], [0.75, 0.875], [0.25, 0.0]] {
        assert!(differs(expected(other)) > 1e-3, "{other:?} are other rates");
    }
}
