//! Compiles the C++ bridge (`worker/bridge/`) against libtorch and tells the linker where libtorch
//! is, now and when the program runs.

use std::path::{Path, PathBuf};

const SOURCES: [&str; 5] = ["error.cpp", "convolution.cpp", "device.cpp", "store.cpp", "gloo.cpp"];

fn main() {
    let libtorch = libtorch();
    let bridge = Path::new("bridge");
    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .file(in_one(&SOURCES))
        // It hands over to libtorch, which is optimised.
        .opt_level(1)
        .debug(false)
        .include(bridge)
        .include(bridge.join("include"))
        // Headers of others: their warnings are not ours.
        .flag("-isystem")
        .flag(libtorch.join("include").display().to_string())
        .flag("-isystem")
        .flag(libtorch.join("include/torch/csrc/api/include").display().to_string())
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .define("USE_DISTRIBUTED", None)
        .warnings(true)
        .compile("concentric_bridge");
    println!("cargo::rerun-if-changed=bridge");
    println!("cargo::rustc-env=CONCENTRIC_LIBTORCH_VERSION={}", version(&libtorch));
    link(&libtorch.join("lib"));
}

/// A source that includes all of these: libtorch's headers take ten times as long to read as what is written here, and
/// are so read once.
fn in_one(sources: &[&str]) -> PathBuf {
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets it for build scripts"));
    let path = out.join("bridge.cpp");
    let text: String = sources.iter().map(|source| format!("#include \"{source}\"\n")).collect();
    std::fs::write(&path, text).expect("cargo's folder for what is built can be written");
    path
}

/// The folder with libtorch's `include` and `lib`.
fn libtorch() -> PathBuf {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    let libtorch = std::env::var_os("LIBTORCH").map(PathBuf::from).unwrap_or_default();
    if !libtorch.join("include/ATen/core/Tensor.h").exists() {
        println!(
            "cargo::error=no libtorch at LIBTORCH='{}': run deploy/libtorch.sh once, or set \
             LIBTORCH to the folder of a libtorch 2.11.0",
            libtorch.display()
        );
        std::process::exit(1);
    }
    libtorch
}

/// MAJOR.MINOR.PATCH as libtorch's own header says it; workers compare it when they join.
fn version(libtorch: &Path) -> String {
    let header = libtorch.join("include/torch/headeronly/version.h");
    let text = std::fs::read_to_string(&header).unwrap_or_default();
    let number = |name: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("#define TORCH_VERSION_")?.strip_prefix(name));
        line.map_or("?", str::trim).to_string()
    };
    format!("{}.{}.{}", number("MAJOR "), number("MINOR "), number("PATCH "))
}

/// The program finds libtorch beside the folder it was built in, so a whole checkout can move, or
/// at the place it was built against. Only what it calls is linked: libtorch_cpu and libc10, so it
/// starts where no CUDA is.
fn link(libraries: &Path) {
    println!("cargo::rustc-link-search=native={}", libraries.display());
    println!("cargo::rustc-link-arg=-Wl,--as-needed");
    println!("cargo::rustc-link-arg=-Wl,-rpath,$ORIGIN/../../.libtorch/torch/lib");
    println!("cargo::rustc-link-arg=-Wl,-rpath,{}", libraries.display());
}
