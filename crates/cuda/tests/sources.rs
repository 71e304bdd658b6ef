//! The committed PTX was made from the committed sources: `cargo xtask kernels` writes a hash of them
//! into its first line.

#![forbid(unsafe_code)]

use cuda::{Kernel, Module};

/// FNV-1a of the texts, each with its length, as `xtask` has it.
fn hash(texts: &[String]) -> String {
    let lengths = texts.iter().flat_map(|text| (text.len() as u64).to_le_bytes());
    let bytes = lengths.chain(texts.iter().flat_map(|text| text.bytes()));
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{hash:016x}")
}

fn source(name: &str) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernels").join(name);
    std::fs::read_to_string(path).expect("a file of kernels")
}

#[test]
fn ptx_is_made_from_the_sources_beside_it() {
    for module in Module::ALL {
        let file = format!("{}.cu", module.name());
        let hash = hash(&[source(&file), source("common.cuh")]);
        let expected = format!("// made by `cargo xtask kernels` from {file} {hash}");
        let found = module.ptx().lines().next().unwrap_or("");
        assert_eq!(found, expected, "{file} has changed: run `cargo xtask kernels`");
    }
}

#[test]
fn every_kernel_is_in_its_ptx_and_every_entry_is_a_kernel() {
    let mut entries = 0;
    for module in Module::ALL {
        entries += module.ptx().matches(".visible .entry ").count();
    }
    assert_eq!(entries, Kernel::ALL.len());
    for kernel in Kernel::ALL {
        let entry = format!(".visible .entry {}(", kernel.name());
        assert!(kernel.module().ptx().contains(&entry), "{}", kernel.name());
    }
}

/// A driver 580 reads PTX up to 9.0, and a card of compute capability 7.5 is what the documents promise.
#[test]
fn ptx_is_of_the_version_and_for_the_cards_that_are_promised() {
    for module in Module::ALL {
        let ptx = module.ptx();
        assert!(ptx.contains("\n.version 9.0\n") && ptx.contains("\n.target sm_75\n"));
    }
}
