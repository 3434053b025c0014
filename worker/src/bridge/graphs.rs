//! A library of graphs: what this thread asks a device for, recorded once and asked for again with one call. A shared
//! object of its own (`worker/bridge/graphs/`), opened where it is there. Called by the accelerator.

use std::ffi::{CStr, CString, c_char, c_void};
use std::path::{Path, PathBuf};

use super::LIBTORCH_VERSION;
use super::error::BridgeError;

#[repr(C)]
struct RawGraph {
    _opaque: [u8; 0],
}

type Text = unsafe extern "C" fn() -> *const c_char;
type Begin = unsafe extern "C" fn(*mut *mut RawGraph) -> *mut c_char;
type Act = unsafe extern "C" fn(*mut RawGraph) -> *mut c_char;
type FreeError = unsafe extern "C" fn(*mut c_char);
type Release = unsafe extern "C" fn(*mut RawGraph);

/// The functions of an opened library, which stays open.
#[derive(Debug)]
pub struct GraphLibrary {
    path: PathBuf,
    device: String,
    begin: Begin,
    end: Act,
    replay: Act,
    free_error: FreeError,
    release: Release,
}

impl GraphLibrary {
    /// Opens `path`. libtorch's CUDA part must be open where the library needs it.
    ///
    /// # Errors
    /// It cannot be opened, lacks a function, or is made for another libtorch.
    pub fn open(path: &Path) -> Result<Self, String> {
        let refuse = |what: &str| format!("{}: {what}", path.display());
        let name = CString::new(path.as_os_str().as_encoded_bytes())
            .map_err(|_| refuse("no name of a file"))?;
        // SAFETY: the name is NUL-terminated. The library's initialisers register with libtorch, which this program
        // links, and need nothing else of it. The handle is never closed.
        let handle = unsafe { libc::dlopen(name.as_ptr(), libc::RTLD_NOW | libc::RTLD_LOCAL) };
        if handle.is_null() {
            return Err(last_failure());
        }
        let function = |name: &CStr| {
            // SAFETY: the handle is open, the name NUL-terminated.
            let address = unsafe { libc::dlsym(handle, name.as_ptr()) };
            let missing = || refuse(&format!("has no {}", name.to_string_lossy()));
            if address.is_null() { Err(missing()) } else { Ok(address) }
        };
        // SAFETY: graphs.h gives these names these types, and texts that live for ever.
        let (device, libtorch) = unsafe {
            let device: Text = std::mem::transmute(function(c"concentric_graphs_device")?);
            let libtorch: Text = std::mem::transmute(function(c"concentric_graphs_libtorch")?);
            (text(device()), text(libtorch()))
        };
        if libtorch != LIBTORCH_VERSION {
            return Err(refuse(&format!(
                "is made for libtorch {libtorch}, this program for {LIBTORCH_VERSION}"
            )));
        }
        // SAFETY: as above.
        unsafe {
            Ok(Self {
                path: path.to_path_buf(),
                device,
                begin: std::mem::transmute::<*mut c_void, Begin>(function(
                    c"concentric_graph_begin",
                )?),
                end: std::mem::transmute::<*mut c_void, Act>(function(c"concentric_graph_end")?),
                replay: std::mem::transmute::<*mut c_void, Act>(function(
                    c"concentric_graph_replay",
                )?),
                free_error: std::mem::transmute::<*mut c_void, FreeError>(function(
                    c"concentric_graphs_free_error",
                )?),
                release: std::mem::transmute::<*mut c_void, Release>(function(
                    c"concentric_graph_release",
                )?),
            })
        }
    }

    /// The file it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The kind of device that it records, as libtorch names it.
    pub fn device(&self) -> &str {
        &self.device
    }

    /// Records what `body` asks for in the calling thread's stream. On a GPU nothing of it runs before a replay.
    ///
    /// # Errors
    /// The body's own, or what the library says: nothing was recorded, nor is any more.
    pub fn record<R, E: From<BridgeError>>(
        &'static self,
        body: impl FnOnce() -> Result<R, E>,
    ) -> Result<(Graph, R), E> {
        let mut graph = std::ptr::null_mut();
        // SAFETY: the slot is a local of this frame; the function throws nothing.
        let begun = unsafe { (self.begin)(&raw mut graph) };
        self.check("begin to record a step", begun)?;
        let mut recording = Recording { graph: Graph { library: self, graph }, ended: false };
        let result = body()?;
        recording.end()?;
        Ok((recording.finished(), result))
    }

    fn check(&self, operation: &'static str, error: *mut c_char) -> Result<(), BridgeError> {
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: a text of the library, alive until the release below, which happens once and after the copy.
        let message = unsafe {
            let message = text(error);
            (self.free_error)(error);
            message
        };
        Err(BridgeError::Torch { operation, message })
    }
}

/// A recorded piece of work. Belongs to the thread that recorded it.
#[derive(Debug)]
pub struct Graph {
    library: &'static GraphLibrary,
    graph: *mut RawGraph,
}

impl Graph {
    /// Asks for what was recorded once more, on whatever lies in its memory by then.
    ///
    /// # Errors
    /// What the library says.
    pub fn replay(&self) -> Result<(), BridgeError> {
        // SAFETY: the graph lives as long as `self`.
        let error = unsafe { (self.library.replay)(self.graph) };
        self.library.check("replay a recorded step", error)
    }
}

impl Drop for Graph {
    fn drop(&mut self) {
        // SAFETY: the library made it for this value alone, which nobody uses afterwards.
        unsafe { (self.library.release)(self.graph) }
    }
}

/// Ends with this value, whatever becomes of what is recorded.
struct Recording {
    graph: Graph,
    ended: bool,
}

impl Recording {
    fn end(&mut self) -> Result<(), BridgeError> {
        self.ended = true;
        // SAFETY: the graph lives as long as `self`; its recording was begun and not ended.
        let error = unsafe { (self.graph.library.end)(self.graph.graph) };
        self.graph.library.check("record a step", error)
    }

    fn finished(self) -> Graph {
        let this = std::mem::ManuallyDrop::new(self);
        Graph { library: this.graph.library, graph: this.graph.graph }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if !self.ended
            && let Err(error) = self.end()
        {
            tracing::debug!(%error, "a recording that failed was ended");
        }
    }
}

/// A copy of a NUL-terminated text.
///
/// # Safety
/// `text` is one, alive during the call.
unsafe fn text(text: *const c_char) -> String {
    // SAFETY: the caller vouches for it.
    unsafe { CStr::from_ptr(text).to_string_lossy().into_owned() }
}

fn last_failure() -> String {
    // SAFETY: `dlerror` returns null or the text of this thread's last failure, valid until its next call.
    unsafe {
        let error = libc::dlerror();
        if error.is_null() { "cannot be opened".to_string() } else { text(error) }
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, Tensor};

    use super::*;
    use crate::bridge::cuda;

    /// The library of CUDA graphs, where it is and a GPU is; says what is missing.
    fn on_a_gpu() -> Option<&'static GraphLibrary> {
        let file = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../.libtorch")
            .join("libconcentric_graphs.so");
        if !cuda::has_gpu() || !file.exists() {
            eprintln!("SKIPPED: there is no GPU or no library of CUDA graphs (`make cuda`) here");
            return None;
        }
        cuda::enter(0).unwrap();
        Some(Box::leak(Box::new(GraphLibrary::open(&file).unwrap())))
    }

    #[test]
    fn one_generation_records_after_another() {
        let Some(library) = on_a_gpu() else { return };
        let input = Tensor::zeros([1000], (Kind::Float, Device::Cuda(0)));
        for generation in 1..7 {
            let recorded = library.record(|| Ok::<_, BridgeError>((&input + 1.0).square()));
            let (graph, square) = recorded.unwrap();
            for value in [1.0, f64::from(generation)] {
                let _ = input.shallow_clone().fill_(value);
                graph.replay().unwrap();
                assert_eq!(square.double_value(&[999]), (value + 1.0) * (value + 1.0));
            }
            drop(graph);
            // In the first rounds nothing but another recording follows.
            if generation <= 3 {
                continue;
            }
            // Reading a number is what no recording can hold: the next one finds everything as it was.
            let broken = library.record(|| {
                let one = &input + 1.0;
                match one.f_double_value(&[0]) {
                    Ok(_) => Ok(one),
                    Err(error) => {
                        Err(BridgeError::Torch { operation: "read", message: error.to_string() })
                    }
                }
            });
            assert!(broken.is_err(), "a GPU's number was read while nothing runs");
            assert_eq!((&input + 1.0).double_value(&[0]), f64::from(generation) + 1.0);
        }
    }
}
