//! What a command that proves something answers: words, and whether all is well.

use std::process::ExitCode;

use super::child_run::Interrupted;

/// What is printed, and how the program ends.
#[derive(Debug)]
pub struct Verdict {
    /// For the user.
    pub text: String,
    code: u8,
}

impl Verdict {
    /// All is well, or not.
    pub fn new(text: String, is_well: bool) -> Self {
        Self { text, code: u8::from(!is_well) }
    }

    /// The user did not wait for it.
    pub fn of_an_interrupt(Interrupted(how): Interrupted) -> Self {
        Self { text: how.name().to_string(), code: how.exit_code() }
    }

    /// 0 only where all is well.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code)
    }
}
