//! A GPU behind NVIDIA's driver. The one file of this crate that may be `unsafe`.
//!
//! cudarc loads the driver and cuBLAS when they are first called, and panics where they are missing. So
//! both are looked for before anything else is called: [`cards`] and [`Gpu::new`] are the only ways in.

use std::fmt;
use std::sync::Arc;

use cudarc::cublas::{CudaBlas, result as blas, sys as blas_sys};
use cudarc::driver::sys::{self, CUdevice_attribute as Attribute, CUfunction_attribute};
use cudarc::driver::{
    CudaContext, CudaFunction, CudaSlice, CudaStream, DevicePtr, DevicePtrMut, DeviceRepr,
    DriverError, LaunchConfig, PushKernelArg, result,
};
use cudarc::nvrtc::Ptx;

use crate::{Argument, Card, Error, Grid, Kernel, Limits, Module, Product, ProductSizes};

/// What the driver must speak: PTX 9.0.
const CUDA_13: i32 = 13_000;
/// What a card must have at least: `compute_75`, which the PTX is made for.
const CAPABILITY: (i32, i32) = (7, 5);
/// Threads of a block of the persistent kernels.
const THREADS: usize = 512;

/// What is known of a card before anything is done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CardInfo {
    /// Its number, from 0.
    pub ordinal: usize,
    /// What it calls itself.
    pub name: String,
    /// Its compute capability.
    pub capability: (i32, i32),
    /// Bytes of memory.
    pub memory: usize,
    /// Multiprocessors.
    pub multiprocessors: usize,
    /// As the driver counts its versions: 1000 · major + 10 · minor.
    pub driver: i32,
}

/// The cards of this machine.
///
/// # Errors
///
/// No driver, one that is too old, or one that knows of no card.
pub fn cards() -> Result<Vec<CardInfo>, Error> {
    let driver = ready()?;
    let count = CudaContext::device_count().map_err(|error| refused("counting cards", error))?;
    (0..count).map(|ordinal| info(driver, ordinal)).collect()
}

/// Whether cuBLAS can be loaded.
pub fn has_cublas() -> bool {
    // SAFETY: loading a library runs its initialisers; NVIDIA's cuBLAS has none that ask anything of
    // this process.
    unsafe { blas_sys::is_culib_present() }
}

/// Starts the driver and returns its version.
fn ready() -> Result<i32, Error> {
    // SAFETY: loading a library runs its initialisers; NVIDIA's driver library has none that ask
    // anything of this process.
    if !unsafe { sys::is_culib_present() } {
        return Err(Error::NoDriver);
    }
    let mut driver = 0;
    // SAFETY: the library is there, as found above; the call writes one int to the address of one.
    let status = unsafe { sys::cuDriverGetVersion(&raw mut driver) };
    status.result().map_err(|error| refused("asking the driver its version", error))?;
    if driver < CUDA_13 {
        return Err(Error::OldDriver { found: driver });
    }
    match result::init() {
        Ok(()) => Ok(driver),
        // A driver without a card is a machine without one.
        Err(DriverError(sys::CUresult::CUDA_ERROR_NO_DEVICE)) => {
            Err(Error::NoDevice { ordinal: 0, count: 0 })
        }
        Err(error) => Err(refused("starting the driver", error)),
    }
}

fn info(driver: i32, ordinal: i32) -> Result<CardInfo, Error> {
    let doing = |error| refused(&format!("asking card {ordinal} what it is"), error);
    let device = result::device::get(ordinal).map_err(doing)?;
    let name = result::device::get_name(device).map_err(doing)?;
    let ask = |attribute| {
        // SAFETY: `device` is a handle that the driver has just given.
        unsafe { result::device::get_attribute(device, attribute) }.map_err(doing)
    };
    let capability = (
        ask(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?,
        ask(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?,
    );
    let multiprocessors = ask(Attribute::CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT)?;
    // SAFETY: as above.
    let memory = unsafe { result::device::total_mem(device) }.map_err(doing)?;
    let (ordinal, multiprocessors) = (ordinal as usize, multiprocessors as usize);
    Ok(CardInfo { ordinal, name, capability, memory, multiprocessors, driver })
}

fn refused(doing: &str, error: DriverError) -> Error {
    let DriverError(code) = error;
    Error::Driver { doing: doing.to_owned(), reason: format!("{code:?}") }
}

/// A GPU: its kernels, cuBLAS where it is there, and one stream, in which everything that is asked for
/// follows everything that was asked for before.
pub struct Gpu {
    info: CardInfo,
    limits: Limits,
    /// In the order of [`Kernel::ALL`].
    functions: Vec<CudaFunction>,
    blas: Option<CudaBlas>,
    stream: Arc<CudaStream>,
}

impl fmt::Debug for Gpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gpu").field("info", &self.info).field("limits", &self.limits).finish()
    }
}

/// Memory of a [`Gpu`], which it alone has made and it alone reads.
#[derive(Debug)]
pub struct Buffer<T>(CudaSlice<T>);

impl Gpu {
    /// Opens a card and loads the kernels.
    ///
    /// # Errors
    ///
    /// No driver, no such card, one that is too old, and what the driver says.
    pub fn new(ordinal: usize) -> Result<Self, Error> {
        let cards = cards()?;
        let count = cards.len();
        let info = cards.into_iter().nth(ordinal).ok_or(Error::NoDevice { ordinal, count })?;
        if info.capability < CAPABILITY {
            return Err(Error::OldCard { name: info.name, capability: info.capability });
        }
        let opening = |error| refused(&format!("opening card {ordinal}"), error);
        let context = CudaContext::new(ordinal).map_err(opening)?;
        // SAFETY: events order the streams that share a buffer. Here is one stream: a `Buffer` is made by
        // one `Gpu`, never leaves this file, and `own` refuses it to any other.
        unsafe { context.disable_event_tracking() };
        let stream = context.new_stream().map_err(opening)?;
        let ask = |attribute| context.attribute(attribute).map_err(opening);
        let shared = ask(Attribute::CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN)?;
        let limits = Limits {
            multiprocessors: info.multiprocessors,
            shared_bytes: shared as usize,
            threads: THREADS,
            cooperative: ask(Attribute::CU_DEVICE_ATTRIBUTE_COOPERATIVE_LAUNCH)? == 1,
        };
        let functions = load(&context, shared)?;
        let blas = if has_cublas() { CudaBlas::new(Arc::clone(&stream)).ok() } else { None };
        Ok(Self { info, limits, functions, blas, stream })
    }

    /// What the card is.
    pub fn info(&self) -> &CardInfo {
        &self.info
    }

    /// Bytes of memory that are free, and all there are.
    ///
    /// # Errors
    ///
    /// What the driver says.
    pub fn memory(&self) -> Result<(usize, usize), Error> {
        self.stream.context().mem_get_info().map_err(|error| refused("asking for memory", error))
    }

    fn buffer<T: DeviceRepr>(&self, len: usize) -> Result<Buffer<T>, Error> {
        let bytes = len * size_of::<T>();
        // SAFETY: what lies there is never read as anything but plain numbers of 32 bits, for which any
        // bits will do. The driver makes no buffer of nothing, so there is always one entry.
        match unsafe { self.stream.alloc::<T>(len.max(1)) } {
            Ok(slice) => Ok(Buffer(slice)),
            Err(DriverError(sys::CUresult::CUDA_ERROR_OUT_OF_MEMORY)) => {
                Err(Error::OutOfMemory { bytes })
            }
            Err(error) => Err(refused(&format!("taking {bytes} bytes"), error)),
        }
    }

    /// Whether a buffer is of this stream, and long enough.
    fn own<T>(&self, buffer: &Buffer<T>, reach: usize, doing: &str) -> Result<(), Error> {
        let fail = |reason: String| Err(Error::Driver { doing: doing.to_owned(), reason });
        if !Arc::ptr_eq(buffer.0.stream(), &self.stream) {
            return fail("a buffer of another card".to_owned());
        }
        if reach > buffer.0.len() {
            return fail(format!("it reaches {reach} into a buffer of {}", buffer.0.len()));
        }
        Ok(())
    }

    fn put<T: DeviceRepr>(&self, to: &mut Buffer<T>, values: &[T]) -> Result<(), Error> {
        self.own(to, values.len(), "copying to the card")?;
        let copied = self.stream.memcpy_htod(values, &mut to.0.slice_mut(..values.len()));
        copied.map_err(|error| refused("copying to the card", error))
    }
}

/// All kernels, compiled by the driver for this card.
fn load(context: &Arc<CudaContext>, shared: i32) -> Result<Vec<CudaFunction>, Error> {
    let mut modules = Vec::new();
    for module in Module::ALL {
        let loaded = context.load_module(Ptx::from_src(module.ptx()));
        let doing = |error| refused(&format!("compiling {} for this card", module.name()), error);
        modules.push(loaded.map_err(doing)?);
    }
    let function = |&kernel: &Kernel| {
        let doing = |error| refused(&format!("loading {}", kernel.name()), error);
        let function =
            modules[kernel.module() as usize].load_function(kernel.name()).map_err(doing)?;
        if kernel.module() == Module::LstmSequence {
            // More than 48 KiB have to be asked for.
            let most = CUfunction_attribute::CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
            function.set_attribute(most, shared).map_err(doing)?;
        }
        Ok(function)
    };
    Kernel::ALL.iter().map(function).collect()
}

impl Card for Gpu {
    type Floats = Buffer<f32>;
    type Ints = Buffer<i32>;

    fn limits(&self) -> Limits {
        self.limits
    }

    fn floats(&self, len: usize) -> Result<Buffer<f32>, Error> {
        self.buffer(len)
    }

    fn ints(&self, len: usize) -> Result<Buffer<i32>, Error> {
        self.buffer(len)
    }

    fn len(&self, buffer: &Buffer<f32>) -> usize {
        buffer.0.len()
    }

    fn write(&self, to: &mut Buffer<f32>, values: &[f32]) -> Result<(), Error> {
        self.put(to, values)
    }

    fn write_ints(&self, to: &mut Buffer<i32>, values: &[i32]) -> Result<(), Error> {
        self.put(to, values)
    }

    fn read(&self, from: &Buffer<f32>, values: &mut [f32]) -> Result<(), Error> {
        self.own(from, values.len(), "copying from the card")?;
        let copied = self.stream.memcpy_dtoh(&from.0.slice(..values.len()), values);
        copied.map_err(|error| refused("copying from the card", error))?;
        self.wait()
    }

    fn zero(&self, buffer: &mut Buffer<f32>) -> Result<(), Error> {
        self.own(buffer, 0, "zeroing")?;
        self.stream.memset_zeros(&mut buffer.0).map_err(|error| refused("zeroing", error))
    }

    fn unset(&self, buffer: &mut Buffer<f32>, first: usize) -> Result<(), Error> {
        let doing = "unsetting";
        self.own(buffer, first, doing)?;
        let bound = self.stream.context().bind_to_thread();
        bound.map_err(|error| refused(doing, error))?;
        let skipped = first * size_of::<f32>();
        let bytes = buffer.0.num_bytes() - skipped;
        if bytes == 0 {
            return Ok(());
        }
        let (address, _address) = buffer.0.device_ptr_mut(&self.stream);
        let (from, stream) = (address + skipped as u64, self.stream.cu_stream());
        // SAFETY: `from .. from + bytes` is the end of a buffer that is alive and of this stream.
        let set = unsafe { result::memset_d8_async(from, 0xFF, bytes, stream) };
        set.map_err(|error| refused(doing, error))
    }

    fn launch(
        &self,
        kernel: Kernel,
        grid: Grid,
        arguments: &mut [Argument<'_, Self>],
    ) -> Result<(), Error> {
        let name = kernel.name();
        if !arguments.iter().map(Argument::kind).eq(kernel.signature().chars()) {
            let reason = format!("its arguments are {}", kernel.signature());
            return Err(Error::Driver { doing: name.to_owned(), reason });
        }
        let mut builder = self.stream.launch_builder(&self.functions[kernel as usize]);
        for argument in arguments {
            match argument {
                Argument::Floats { buffer, reach } => {
                    self.own(buffer, *reach, name)?;
                    builder.arg(&buffer.0);
                }
                Argument::FloatsMut { buffer, reach } => {
                    self.own(buffer, *reach, name)?;
                    builder.arg(&mut buffer.0);
                }
                Argument::Ints { buffer, reach } => {
                    self.own(buffer, *reach, name)?;
                    builder.arg(&buffer.0);
                }
                Argument::Number(number) => {
                    builder.arg(&*number);
                }
            }
        }
        let [across, down] = grid.blocks.map(|blocks| blocks as u32);
        let [wide, high] = grid.threads.map(|threads| threads as u32);
        let config = LaunchConfig {
            grid_dim: (across, down, 1),
            block_dim: (wide, high, 1),
            shared_mem_bytes: grid.shared_bytes as u32,
        };
        // SAFETY: number and kinds of the arguments are those of the kernel's table row, which the host
        // shim holds against the kernel's own declaration. Each buffer is of this stream, alive (it is
        // borrowed, and freed in stream order), borrowed mutably where it is written, and at least as
        // long as the launch says that it reaches; that launches say so truly is what the shim's guard
        // bands around every buffer test. A cooperative grid that does not fit is refused by the driver.
        let launched = unsafe {
            if grid.cooperative {
                builder.launch_cooperative(config)
            } else {
                builder.launch(config)
            }
        };
        let doing = || format!("{name}, {across} x {down} blocks of {wide} x {high} threads");
        launched.map(drop).map_err(|error| refused(&doing(), error))
    }

    fn has_products(&self) -> bool {
        self.blas.is_some()
    }

    fn product(
        &self,
        product: Product,
        sizes: ProductSizes,
        first: &Buffer<f32>,
        second: &Buffer<f32>,
        to: &mut Buffer<f32>,
    ) -> Result<(), Error> {
        use blas_sys::cublasOperation_t::{CUBLAS_OP_N as PLAIN, CUBLAS_OP_T as TURNED};
        let doing = "a product of cuBLAS";
        let fail = |reason: String| Error::Driver { doing: doing.to_owned(), reason };
        let handle = self.blas.as_ref().ok_or_else(|| fail("there is no cuBLAS".to_owned()))?;
        let ProductSizes { rows, outputs, inputs, x_first, y_first } = sizes;
        let (x, y) = (x_first * inputs, y_first * outputs);
        let (x_end, y_end, w_end) = (x + rows * inputs, y + rows * outputs, outputs * inputs);
        // cuBLAS has columns where we have rows, so to it each of our matrices is the turned one:
        // yᵀ = w·xᵀ, dxᵀ = wᵀ·dyᵀ, dwᵀ = xᵀ·dy.
        let ((op_first, op_second), (m, n, k), (ld_first, ld_second, ld_to), starts, ends, beta) =
            match product {
                Product::Forward { add } => (
                    (TURNED, PLAIN),
                    (outputs, rows, inputs),
                    (inputs, inputs, outputs),
                    [0, x, y],
                    [w_end, x_end, y_end],
                    if add { 1.0 } else { 0.0 },
                ),
                Product::BackwardInput => (
                    (PLAIN, PLAIN),
                    (inputs, rows, outputs),
                    (inputs, outputs, inputs),
                    [0, y, x],
                    [w_end, y_end, x_end],
                    0.0,
                ),
                Product::BackwardWeights => (
                    (PLAIN, TURNED),
                    (inputs, outputs, rows),
                    (inputs, outputs, inputs),
                    [x, y, 0],
                    [x_end, y_end, w_end],
                    1.0,
                ),
            };
        let int = crate::memory::int;
        let (m, n, k) = (int(m)?, int(n)?, int(k)?);
        let (ld_first, ld_second, ld_to) = (int(ld_first)?, int(ld_second)?, int(ld_to)?);
        self.own(first, ends[0], doing)?;
        self.own(second, ends[1], doing)?;
        self.own(to, ends[2], doing)?;
        let bound = self.stream.context().bind_to_thread();
        bound.map_err(|error| refused(doing, error))?;
        let (first, _first) = first.0.device_ptr(&self.stream);
        let (second, _second) = second.0.device_ptr(&self.stream);
        let (to, _to) = to.0.device_ptr_mut(&self.stream);
        let address = |base: u64, entry: usize| base + (entry * size_of::<f32>()) as u64;
        let (one, beta) = (1f32, beta);
        // SAFETY: the three addresses are of buffers that are alive and of this stream, and all entries
        // that m, n, k and the leading dimensions reach lie before `ends`, which `own` has held against
        // the buffers' lengths. Both factors are read at once, from the addresses of two f32. Without a
        // math mode of its own the handle computes in f32.
        let status = unsafe {
            blas::sgemm(
                *handle.handle(),
                op_first,
                op_second,
                m,
                n,
                k,
                &raw const one,
                address(first, starts[0]) as *const f32,
                ld_first,
                address(second, starts[1]) as *const f32,
                ld_second,
                &raw const beta,
                address(to, starts[2]) as *mut f32,
                ld_to,
            )
        };
        status.map_err(|error| fail(format!("{error:?}")))
    }

    fn wait(&self) -> Result<(), Error> {
        let done = self.stream.synchronize();
        done.map_err(|error| refused("waiting for what the card was asked to do", error))
    }
}
