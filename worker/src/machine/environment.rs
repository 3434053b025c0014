//! Variables of the environment that libraries read: those that would change what a precision means, those that choose
//! kernels, and those that take threads away.
//!
//! `main` sets the first right before anything is computed; the session tells the coordinator of the second, which compares
//! what comes of them and not the variables, and refuses the third where libtorch would wait for threads that never come.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Would make numbers of 32 bits shorter, or TF32's longer, whatever `--precision` says.
const PRECISION: [&str; 4] = [
    "ONEDNN_DEFAULT_FPMATH_MODE",
    "DNNL_DEFAULT_FPMATH_MODE",
    "NVIDIA_TF32_OVERRIDE",
    "TORCH_ALLOW_TF32_CUBLAS_OVERRIDE",
];
/// Choose kernels, whose results differ in their last bits.
const KERNELS: [&str; 11] = [
    "ATEN_CPU_CAPABILITY",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "ONEDNN_CPU_ISA_HINTS",
    "DNNL_CPU_ISA_HINTS",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_DEBUG_CPU_TYPE",
    "CUBLAS_WORKSPACE_CONFIG",
    "CUBLASLT_WORKSPACE_SIZE",
    "GLIBC_TUNABLES",
];
/// What was set right, told to the program that is started anew.
const SET_RIGHT: &str = "CONCENTRIC_SET_RIGHT";
/// Longest text of a variable that is told, bytes.
const LONGEST: usize = 200;

/// Starts this program anew without the variables that change a precision, where there are any: libraries may have read
/// them already. What was set right is told then.
///
/// # Errors
/// The system does not start it.
pub fn set_right() -> Result<Option<String>, String> {
    let wrong: Vec<&str> = PRECISION.into_iter().filter(|name| changes_precision(name)).collect();
    let told = env::var(SET_RIGHT).ok();
    if wrong.is_empty() {
        return Ok(told);
    }
    if told.is_some() {
        return Err(refusal(&wrong, &"the variable CONCENTRIC_SET_RIGHT is set already"));
    }
    let program = env::current_exe().map_err(|error| refusal(&wrong, &error))?;
    let mut arguments = env::args_os();
    let mut command = Command::new(program);
    if let Some(name) = arguments.next() {
        command.arg0(name);
    }
    command.args(arguments).env(SET_RIGHT, wrong.join(" and "));
    for name in &wrong {
        command.env_remove(name);
    }
    // The same process goes on as the new program, or this returns.
    Err(refusal(&wrong, &command.exec()))
}

fn refusal(wrong: &[&str], error: &dyn std::fmt::Display) -> String {
    let names = wrong.join(" and ");
    format!("{names} would change what --precision says, and cannot be removed ({error}): unset it")
}

/// A strict mode is the usual one.
fn changes_precision(name: &str) -> bool {
    env::var_os(name)
        .is_some_and(|value| !value.is_empty() && !value.eq_ignore_ascii_case("strict"))
}

/// The variables that are set and known to choose kernels, as `NAME=VALUE`.
pub fn choosing_kernels() -> Vec<String> {
    let told = |name: &str| {
        let value = env::var_os(name)?;
        let text: String = value.to_string_lossy().escape_default().collect();
        Some(format!("{name}={}", &text[..text.len().min(LONGEST)]))
    };
    KERNELS.into_iter().filter_map(told).collect()
}

/// Whether OpenMP may give a kernel of libtorch as many threads as it asks for.
///
/// # Errors
/// Which variable takes them away: libtorch would wait for them without an end.
pub fn check_threads(threads: u32) -> Result<(), String> {
    fewer_threads(threads, |name| env::var(name).ok()).map_or(Ok(()), Err)
}

fn fewer_threads(threads: u32, variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    if threads < 2 {
        return None;
    }
    let value = |name: &str| Some(variable(name)?.trim().to_ascii_lowercase());
    let limits = |name: &'static str, most: u32| {
        let limit: u32 = value(name)?.parse().ok()?;
        (limit < most).then_some((name, limit.to_string()))
    };
    let dynamic = value("OMP_DYNAMIC").filter(|value| value == "true");
    let (name, value) = limits("OMP_THREAD_LIMIT", threads)
        .or_else(|| limits("OMP_MAX_ACTIVE_LEVELS", 1))
        .or_else(|| dynamic.map(|value| ("OMP_DYNAMIC", value)))?;
    Some(format!(
        "{name}={value} gives libtorch fewer threads than the {threads} that it is told to use (--threads), and it would \
         wait for them without an end: unset the variable"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_that_take_threads_away_are_named() {
        let with = |name: &'static str, value: &'static str, threads| {
            fewer_threads(threads, move |asked| (asked == name).then(|| value.to_string()))
        };
        for (name, value) in
            [("OMP_THREAD_LIMIT", " 1"), ("OMP_DYNAMIC", "TRUE"), ("OMP_MAX_ACTIVE_LEVELS", "0")]
        {
            let told = with(name, value, 2).expect(name);
            assert!(told.starts_with(name) && told.contains("--threads"), "{told}");
            assert_eq!(with(name, value, 1), None, "one thread is always there");
        }
        for (name, value) in
            [("OMP_THREAD_LIMIT", "2"), ("OMP_DYNAMIC", "false"), ("OMP_THREAD_LIMIT", "")]
        {
            assert_eq!(with(name, value, 2), None, "{name}={value}");
        }
    }
}
