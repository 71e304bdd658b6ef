//! The host shim as a card: `kernels/host/server.cpp` behind a pipe.

use std::cell::RefCell;
use std::io::{BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use cuda::{Argument, Card, Error, Grid, Kernel, Limits, Product, ProductSizes};
use tempfile::TempDir;

/// Where it is set, a machine without a C++ compiler fails instead of skipping.
const NO_SKIP: &str = "TIDEGATE_NO_SKIP";

/// The folder of the kernels.
pub(crate) fn kernels() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../kernels")
}

/// The shim compiled with the kernels of some folder.
#[derive(Debug)]
pub(crate) struct Shim {
    folder: TempDir,
}

impl Shim {
    /// Compiles the kernels as they are shipped. `None`, with a word about it, where there is no compiler.
    pub(crate) fn shipped() -> Option<Self> {
        Self::of(&kernels())
    }

    /// Compiles the kernels of a folder.
    ///
    /// # Panics
    ///
    /// Where they do not compile.
    pub(crate) fn of(kernels_folder: &Path) -> Option<Self> {
        let Some(compiler) = compiler() else {
            let what = "no C++ compiler: the kernels were not run (CXX names one)";
            assert!(std::env::var_os(NO_SKIP).is_none(), "{what}");
            eprintln!("skipped: {what}");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let host = kernels().join("host");
        let output = Command::new(compiler)
            .args(["-std=c++17", "-O1", "-include"])
            .arg(host.join("shim.hpp"))
            .arg("-I")
            .arg(kernels_folder)
            .arg("-I")
            .arg(&host)
            .arg("-o")
            .arg(folder.path().join("card"))
            .arg(host.join("server.cpp"))
            .output()
            .expect("the compiler starts");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the kernels do not compile as C++:\n{errors}");
        Some(Self { folder })
    }

    /// A fresh card of these limits, whose threads take their turns by `schedule`.
    pub(crate) fn card(&self, limits: Limits, schedule: u64) -> HostCard {
        let mut child = Command::new(self.folder.path().join("card"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the shim starts");
        let to = child.stdin.take().expect("piped");
        let from = BufReader::new(child.stdout.take().expect("piped"));
        HostCard { pipe: RefCell::new(Pipe { child, to, from }), limits, schedule }
    }
}

fn compiler() -> Option<String> {
    let named = std::env::var("CXX").ok();
    let usual = ["c++", "g++", "clang++"].map(str::to_owned);
    named.into_iter().chain(usual).find(|name| {
        let asked = Command::new(name).arg("--version").output();
        asked.is_ok_and(|output| output.status.success())
    })
}

/// A card that is a process.
#[derive(Debug)]
pub(crate) struct HostCard {
    pipe: RefCell<Pipe>,
    limits: Limits,
    schedule: u64,
}

#[derive(Debug)]
struct Pipe {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Drop for Pipe {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Memory of the shim.
#[derive(Debug)]
pub(crate) struct HostBuffer {
    id: u64,
    len: usize,
}

impl HostCard {
    /// Sends a request and returns an answer of so many bytes.
    fn ask(&self, request: &[u8], bytes: usize) -> Result<Vec<u8>, Error> {
        let mut pipe = self.pipe.borrow_mut();
        let gone = |_| Error::Driver { doing: "the shim".into(), reason: "has crashed".into() };
        pipe.to.write_all(request).and_then(|()| pipe.to.flush()).map_err(gone)?;
        let mut receive = |bytes: usize| {
            let mut answer = vec![0; bytes];
            pipe.from.read_exact(&mut answer).map(|()| answer).map_err(gone)
        };
        if receive(1)? == *b"o" {
            return receive(bytes);
        }
        let length = u32::from_le_bytes(receive(4)?.try_into().expect("four bytes"));
        let reason = String::from_utf8_lossy(&receive(length as usize)?).into_owned();
        Err(Error::Driver { doing: "the shim".into(), reason })
    }

    fn buffer(&self, len: usize) -> Result<HostBuffer, Error> {
        let mut request = vec![b'a'];
        request.extend((len as u64).to_le_bytes());
        let id = self.ask(&request, 8)?;
        Ok(HostBuffer { id: u64::from_le_bytes(id.try_into().expect("eight bytes")), len })
    }

    /// `w` or `r` of the front of a buffer.
    fn copy(
        &self,
        kind: u8,
        of: &HostBuffer,
        words: &[u32],
        answer: usize,
    ) -> Result<Vec<u8>, Error> {
        let mut request = vec![kind];
        let count = words.len().max(answer / 4) as u64;
        request.extend([of.id, 0, count].iter().flat_map(|number| number.to_le_bytes()));
        request.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        self.ask(&request, answer)
    }
}

impl Card for HostCard {
    type Floats = HostBuffer;
    type Ints = HostBuffer;

    fn limits(&self) -> Limits {
        self.limits
    }

    fn floats(&self, len: usize) -> Result<HostBuffer, Error> {
        self.buffer(len)
    }

    fn ints(&self, len: usize) -> Result<HostBuffer, Error> {
        self.buffer(len)
    }

    fn len(&self, buffer: &HostBuffer) -> usize {
        buffer.len
    }

    fn write(&self, to: &mut HostBuffer, values: &[f32]) -> Result<(), Error> {
        let words: Vec<u32> = values.iter().map(|value| value.to_bits()).collect();
        self.copy(b'w', to, &words, 0).map(drop)
    }

    fn write_ints(&self, to: &mut HostBuffer, values: &[i32]) -> Result<(), Error> {
        let words: Vec<u32> = values.iter().map(|value| value.cast_unsigned()).collect();
        self.copy(b'w', to, &words, 0).map(drop)
    }

    fn read(&self, from: &HostBuffer, values: &mut [f32]) -> Result<(), Error> {
        let bytes = self.copy(b'r', from, &[], 4 * values.len())?;
        for (value, word) in values.iter_mut().zip(bytes.chunks_exact(4)) {
            *value = f32::from_le_bytes(word.try_into().expect("four bytes"));
        }
        Ok(())
    }

    fn zero(&self, buffer: &mut HostBuffer) -> Result<(), Error> {
        let mut request = vec![b'z'];
        request.extend(buffer.id.to_le_bytes());
        self.ask(&request, 0).map(drop)
    }

    fn unset(&self, buffer: &mut HostBuffer, first: usize) -> Result<(), Error> {
        let mut request = vec![b'u'];
        request.extend([buffer.id, first as u64].iter().flat_map(|number| number.to_le_bytes()));
        self.ask(&request, 0).map(drop)
    }

    fn launch(
        &self,
        kernel: Kernel,
        grid: Grid,
        arguments: &mut [Argument<'_, Self>],
    ) -> Result<(), Error> {
        let kinds: String = arguments.iter().map(|argument| argument.kind()).collect();
        assert_eq!(kinds, kernel.signature(), "{}", kernel.name());
        assert!(grid.shared_bytes <= self.limits.shared_bytes, "{}", kernel.name());
        let [across, down] = grid.blocks.map(|blocks| blocks as u32);
        assert!(!grid.cooperative || (across * down) as usize <= self.limits.multiprocessors);
        let [wide, high] = grid.threads.map(|threads| threads as u32);
        let name = kernel.name().as_bytes();
        let mut request = vec![b'l'];
        request.extend((name.len() as u32).to_le_bytes());
        request.extend(name);
        request.extend([across, down, 1, wide, high, 1].iter().flat_map(|n| n.to_le_bytes()));
        let more = [grid.shared_bytes as u64, u64::from(grid.cooperative), self.schedule];
        request.extend(more.iter().flat_map(|number| number.to_le_bytes()));
        request.extend((arguments.len() as u32).to_le_bytes());
        for argument in arguments.iter() {
            let (value, reach, len) = match argument {
                Argument::Floats { buffer, reach } | Argument::Ints { buffer, reach } => {
                    (buffer.id as i64, *reach, buffer.len)
                }
                Argument::FloatsMut { buffer, reach } => (buffer.id as i64, *reach, buffer.len),
                Argument::Number(number) => (i64::from(*number), 0, 0),
            };
            assert!(reach <= len, "{} reaches {reach} into {len}", kernel.name());
            request.push(argument.kind() as u8);
            request.extend(value.to_le_bytes());
        }
        self.ask(&request, 0).map(drop)
    }

    fn has_products(&self) -> bool {
        false
    }

    fn product(
        &self,
        _: Product,
        _: ProductSizes,
        _: &HostBuffer,
        _: &HostBuffer,
        _: &mut HostBuffer,
    ) -> Result<(), Error> {
        unreachable!("the shim has no library")
    }

    fn wait(&self) -> Result<(), Error> {
        Ok(())
    }
}
