//! Which file NCCL is loaded from.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bridge::cuda;
use crate::bridge::nccl::Library;

/// NCCL's file in the packages that libtorch comes with.
const FILE: &str = "libnccl.so.2";

/// Loads the NCCL in `asked`, where that is given; else the one that libtorch's packages have brought, or one on the
/// loader's path.
///
/// # Errors
/// Every file that was tried, and what is wrong with it.
pub fn find(asked: Option<&Path>) -> Result<Arc<Library>, String> {
    let (files, hint) = match asked {
        Some(file) => (vec![file.to_path_buf()], "--nccl-library names that file"),
        None => (
            files(cuda::libtorch_folder().as_deref()),
            "`deploy/libtorch.sh cuda` fetches it, --nccl-library names another file",
        ),
    };
    load_first(&files).map_err(|problems| format!("NCCL cannot be loaded: {problems} ({hint})"))
}

/// Where NCCL may be, given the folder with libtorch's libraries.
fn files(libtorch: Option<&Path>) -> Vec<PathBuf> {
    let libtorch = libtorch.into_iter().flat_map(|folder| {
        let packages = folder.join("../../nvidia/nccl/lib").join(FILE);
        [packages, folder.join(FILE)]
    });
    // Without a folder the loader is asked, which knows it too if libtorch has opened it already.
    libtorch.chain([PathBuf::from(FILE)]).collect()
}

fn load_first(files: &[PathBuf]) -> Result<Arc<Library>, String> {
    let mut problems = Vec::new();
    for file in files {
        let is_path = file.components().nth(1).is_some();
        if is_path && !file.exists() {
            problems.push(format!("{} is not there", file.display()));
            continue;
        }
        match Library::load(file) {
            Ok(library) => {
                tracing::debug!(file = %file.display(), version = %library.version(), "NCCL is loaded");
                return Ok(Arc::new(library));
            }
            Err(problem) => problems.push(problem),
        }
    }
    Err(problems.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libtorchs_own_comes_first() {
        let found = files(Some(Path::new("/packages/torch/lib")));
        let expected = [
            "/packages/torch/lib/../../nvidia/nccl/lib/libnccl.so.2",
            "/packages/torch/lib/libnccl.so.2",
            "libnccl.so.2",
        ];
        assert_eq!(found, expected.map(PathBuf::from));
        assert_eq!(files(None), [PathBuf::from("libnccl.so.2")]);
        let folder = cuda::libtorch_folder().unwrap();
        assert!(folder.join("libtorch_cpu.so").exists(), "{}", folder.display());
    }

    #[test]
    fn every_file_that_was_tried_is_named() {
        let error =
            load_first(&["/nowhere/a.so".into(), "libnccl-of-nobody.so".into()]).unwrap_err();
        assert!(error.contains("/nowhere/a.so is not there; "), "{error}");
        assert!(error.contains("libnccl-of-nobody.so: cannot open"), "{error}");
        let error = find(Some(Path::new("/nowhere/b.so"))).unwrap_err();
        assert!(error.contains("/nowhere/b.so is not there"), "{error}");
        assert!(error.contains("--nccl-library names that file"), "{error}");
    }
}
