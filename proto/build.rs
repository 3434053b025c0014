//! Compiles the service without `protoc`: `protox` parses it, `tonic-prost-build` generates the code.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=concentric.proto");
    let descriptors = protox::compile(["concentric.proto"], ["."])?;
    tonic_prost_build::configure()
        // Sample and artifact payloads are shared, not copied, between streams.
        .bytes(".concentric.v1")
        .compile_fds(descriptors)?;
    Ok(())
}
