//! What scripts rely on of `tidegate bench`: results, keys, exit codes, messages.

mod calls;

use calls::{assert_keys, call};
use serde_json::Value;

#[test]
fn a_wrong_bench_is_code_2_and_names_the_flag() {
    let folder = tempfile::tempdir().unwrap();
    for (arguments, part) in [
        (&["bench"][..], "<WHAT>"),
        (&["bench", "everything"], "sequence"),
        (&["bench", "sequence", "--shape", "T3,B2,I4,H0"], "--shape T3,B2,I4,H0: \"H0\""),
        (&["bench", "sequence", "--shape", "T3,B2,I4"], "H is missing"),
        (&["bench", "train", "--shape", "T3,B2,I4,H5,bi"], "leave \"bi\" out"),
        (&["bench", "sequence", "--mode", "step"], "steps are timed by bench stream"),
        (&["bench", "sequence", "--dtype", "bf16"], "--dtype"),
        (&["bench", "sequence", "--kernels", "v2"], "add --device cuda"),
        (&["gpu-check", "--sample-s", "nan"], "--sample-s NaN"),
        (&["bench", "sequence", "--seconds", "-1"], "--seconds"),
        (&["bench", "softmax", "--mode", "forward"], "--mode"),
        (&["bench", "train", "--shape", "T3,B2,I4,H5,L65"], "model.layers"),
        (&["bench", "train", "--shape", "T1000000,B1000000,I1,H1"], "of memory"),
        (&["bench", "stream", "--shape", "B2,I4,H5"], "for one user; write B1"),
        (&["bench", "stream", "--shape", "B1,I4,H5,L2"], "\"L2\""),
        (&["bench", "stream", "--mode", "forward"], "bench stream has step"),
        (&["bench", "stream", "--shape", "T5,B1,I4,H5"], "\"T5\": a step is one step"),
        (&["bench", "softmax", "--shape", "T3,B2,I4,H5,bi"], "\"bi\": no layer reads"),
        (&["bench", "score", "--shape", "B2,H5,bi"], "\"bi\": no layer reads"),
        (&["bench", "softmax", "--cell", "gru"], "--cell gru: bench softmax has no recurrent"),
        (&["bench", "score", "--cell", "rnn"], "--cell rnn: bench score has no recurrent"),
        (&["bench", "sequence", "--seconds", "1e300"], "--seconds 1e300: give 0 to 3600"),
        (&["bench", "score", "--shape", "B2,V5"], "H is missing; write B10000,H100"),
        (&["bench", "score", "--mode", "training"], "bench score has forward"),
        (&["bench", "score", "--shape", "B1000000,H1000000,V10"], "of memory"),
        (&["bench", "stream", "--shape", "B1,I1,H1048576"], "of memory"),
    ] {
        let called = call(folder.path(), arguments);
        assert!(called.fails(2).contains(part), "{arguments:?}: {}", called.stderr);
    }
}

#[test]
fn bench_times_every_shape_in_every_mode() {
    let folder = tempfile::tempdir().unwrap();
    let bench = |what: &str, flags: &[&str]| {
        let shapes = ["--shape", "T3,B2,I4,H5", "--shape", "H6,T20,B8,I4,L2,V50,lengths=skew"];
        let rest = ["--seconds", "0.01", "--threads", "2"];
        call(folder.path(), &[&["bench", what][..], &shapes, &rest, flags].concat())
    };
    let found = bench("sequence", &["--json", "--quiet"]).json();
    assert_keys(&found, &["machine", "kernel", "peak_gflops", "bandwidth_gbs"]);
    assert_keys(&found["machine"], &["cpu", "cores", "os", "arch"]);
    let results = found["results"].as_array().unwrap();
    let number = |value: &Value| value.as_f64().unwrap();
    let names: Vec<_> = results.iter().map(|r| (&r["shape"], &r["mode"])).collect();
    assert_eq!(names[0], (&"T3,B2,I4,H5".into(), &"forward".into()));
    assert_eq!(names[3], (&"H6,T20,B8,I4,L2,V50,lengths=skew".into(), &"training".into()));
    for result in results {
        assert_eq!((&result["dtype"], &result["threads"]), (&"f32".into(), &2.into()));
        let samples: Vec<f64> =
            result["samples_s"].as_array().unwrap().iter().map(number).collect();
        let median = number(&result["median_s"]);
        assert!(samples.len() >= 5 && samples.iter().any(|&s| s <= median), "{samples:?}");
        let gflops = number(&result["gflops"]);
        assert!((gflops * median * 1e9 / number(&result["flop"]) - 1.0).abs() < 1e-9);
        assert!(
            (gflops / number(&found["peak_gflops"]) / number(&result["of_peak"]) - 1.0).abs()
                < 1e-9
        );
        // Where arithmetic is the floor, the two are the same but for their last bits.
        assert!(number(&result["of_floor"]) >= (1.0 - 1e-12) * number(&result["of_peak"]));
    }
    // 8·6·5·9; N = 42, and 24·42·6·(10 + 12).
    assert_eq!((&results[0]["flop"], &results[3]["flop"]), (&2160.into(), &133_056.into()));
    // 180 weights, 20 biases, 14 numbers of x, c and h a position.
    assert_eq!(results[0]["bytes"], 4 * (180 + 20 + 6 * 14));

    for (what, heading) in [("softmax", "of floor"), ("train", "events/s")] {
        let people = bench(what, &[]);
        assert_eq!(people.code, Some(0), "{}", people.stderr);
        assert!(people.stdout.contains(heading) && people.stdout.contains("FMA peak"));
        assert!(people.stdout.lines().all(|line| line.chars().count() <= 100), "{}", people.stdout);
        assert!(people.stderr.contains("T3,B2,I4,H5 training: "), "{}", people.stderr);
    }
}

#[test]
fn bench_score_counts_sessions_and_items() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["bench", "score", "--shape", "B30,H5,V70", "--seconds", "0.01"];
    let found = call(folder.path(), &[&arguments[..], &["--json", "--quiet"]].concat()).json();
    let result = &found["results"][0];
    // 2·B·V·H; pictures, table, biases, and 20 items with their scores a session.
    assert_eq!((&result["mode"], &result["flop"]), (&"forward".into(), &21_000.into()));
    assert_eq!(result["bytes"], 4 * (150 + 350 + 70 + 1200));
    let people = call(folder.path(), &arguments);
    assert_eq!(people.code, Some(0), "{}", people.stderr);
    assert!(people.stdout.contains("of floor") && people.stdout.contains("B30,H5,V70"));
}

#[test]
fn bench_stream_times_a_step_on_one_thread() {
    let folder = tempfile::tempdir().unwrap();
    let shapes = ["bench", "stream", "--shape", "B1,I4,H5", "--shape", "V50,H20,B1,I4"];
    let bench = |flags: &[&str]| {
        let rest = ["--seconds", "0.01", "--threads", "2"];
        call(folder.path(), &[&shapes[..], &rest, flags].concat())
    };
    let found = bench(&["--mode", "step", "--json", "--quiet"]).json();
    assert_keys(&found, &["machine", "kernel", "peak_gflops", "bandwidth_gbs"]);
    assert_eq!((&found["what"], &found["threads"]), (&"stream".into(), &1.into()));
    let results = found["results"].as_array().unwrap();
    // 8·H·H; H·4H weights, a row of 4H, states of 4H.
    for (result, (flop, bytes)) in results.iter().zip([(200, 4 * 140), (3200, 4 * 1760)]) {
        assert_eq!((&result["mode"], &result["threads"]), (&"step".into(), &1.into()));
        assert_eq!((&result["flop"], &result["bytes"]), (&flop.into(), &bytes.into()));
        assert_eq!((&result["positions"], &result["dtype"]), (&1.into(), &"f32".into()));
        assert!(result["samples_s"].as_array().unwrap().len() >= 5);
        let number = |key: &str| result[key].as_f64().unwrap();
        let cache = number("bytes") / 1e9 / number("cache_gbs");
        let peak = number("flop") / 1e9 / found["peak_gflops"].as_f64().unwrap();
        let floor = cache.max(peak) / number("median_s");
        assert!((floor / number("of_floor") - 1.0).abs() < 1e-9, "{result}");
    }

    let people = bench(&[]);
    assert_eq!(people.code, Some(0), "{}", people.stderr);
    for part in ["cache GB/s", "of floor", " us ", "1 thread,"] {
        assert!(people.stdout.contains(part), "{part}: {}", people.stdout);
    }
    assert!(people.stdout.lines().all(|line| line.chars().count() <= 100), "{}", people.stdout);
    assert!(people.stderr.contains("B1,I4,H5 step: "), "{}", people.stderr);
}
