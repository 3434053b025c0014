//! Tests of [`super`]: what is taken, what is refused, and what is said then.

use super::*;

fn launcher(variables: &[(&str, &str)]) -> Launcher {
    Launcher::from_variables(|name| {
        variables.iter().find(|(other, _)| *other == name).map(|it| it.1.to_string())
    })
}

fn parse(flags: &[&str], launcher: &Launcher) -> anyhow::Result<WorkerArgs> {
    let arguments = ["worker"].iter().chain(flags).map(|flag| (*flag).into());
    WorkerArgs::parse(arguments.collect::<Vec<_>>(), launcher)
}

fn refused(flags: &[&str], expected: &str) {
    let message = format!("{:#}", parse(flags, &Launcher::default()).unwrap_err());
    assert!(message.contains(expected), "{flags:?}: {message}");
}

#[test]
fn defaults_and_launchers() {
    let args = parse(&["--rank", "2"], &Launcher::default()).unwrap();
    assert_eq!((args.slot, args.advertise), (Some(Slot(2)), None));
    assert_eq!(args.coordinator.to_string(), "http://127.0.0.1:29400/");
    let launcher =
        launcher(&[("RANK", "3"), ("MASTER_ADDR", "127.0.0.1"), ("MASTER_PORT", "1234")]);
    let args = parse(&[], &launcher).unwrap();
    assert_eq!(args.slot, Some(Slot(3)));
    assert_eq!(args.coordinator.to_string(), "http://127.0.0.1:1234/");
    let expected = "http://127.0.0.1:1234/ (as MASTER_ADDR=127.0.0.1, MASTER_PORT=1234 says)";
    assert_eq!(args.coordinator_in_words, expected);
    assert_eq!(parse(&["--rank", "0"], &launcher).unwrap().slot, Some(Slot(0)));
    assert_eq!(parse(&[], &Launcher::default()).unwrap().slot, None);
}

#[test]
fn what_cannot_be_is_refused() {
    let odd = |name| parse(&[], &launcher(&[(name, "two")])).unwrap_err().to_string();
    assert_eq!(odd("RANK"), "the variable RANK is `two`, not a number: correct it, or give --rank");
    assert!(odd("LOCAL_RANK").starts_with("the variable LOCAL_RANK is `two`, not a number"));
    refused(&["--rank", "0", "--device", "tpu"], "use auto, cpu, cuda or cuda:I");
    refused(&["--rank", "0", "--device", "cuda:99"], "--device cuda:99: ");
    refused(&["--rank", "0", "--device", "cpu", "--cuda-graph", "on"], "needs a GPU");
    let nccl_on_a_cpu = ["--rank", "0", "--device", "cpu", "--collective", "nccl"];
    refused(&nccl_on_a_cpu, "this worker computes on the CPU");
    refused(&["--rank", "0", "--collective", "mpi"], "[possible values: auto, nccl, gloo]");
    refused(&["--rank", "0", "--coordinator", "http://host"], "has no port");
    refused(&["--rank", "0", "--coordinator", "ftp://host:1"], "http://HOST:PORT");
    refused(&["--coordinator", "http://fd00::1:29400"], "an IPv6 address in brackets");
    refused(&["--rank", "0", "--advertise", "host:5"], "--advertise `host:5`: has a port");
    refused(&["--rank", "0", "--parallel", "0"], "--parallel");
    refused(&["--rank", "0", "--cpu-bind", "sockets"], "[possible values: auto, cores, none]");
    refused(&["--rank", "0", "--connect-timeout", "-1"], "unexpected argument");
}

#[test]
fn addresses_are_taken_with_and_without_brackets() {
    let check = |flags: &[&str], variables: &[(&str, &str)], expected: &str| {
        let args = parse(flags, &launcher(variables)).unwrap();
        assert_eq!(args.coordinator.to_string(), expected);
    };
    check(&["--coordinator", "host:5"], &[], "http://host:5/");
    check(&["--coordinator", "http://[fd00::1]:5/"], &[], "http://[fd00::1]:5/");
    check(&["--coordinator", "[fd00::1]:5"], &[], "http://[fd00::1]:5/");
    check(&[], &[("MASTER_ADDR", "fd00::1")], "http://[fd00::1]:29400/");
    for text in ["fd00::1", "[fd00::1]"] {
        let args = parse(&["--advertise", text], &Launcher::default()).unwrap();
        assert_eq!(args.advertise.as_deref(), Some("fd00::1"));
    }
}

#[test]
fn the_port_of_torchruns_store_is_not_the_coordinators() {
    let torchrun =
        [("MASTER_ADDR", "host"), ("MASTER_PORT", "41234"), ("TORCHELASTIC_RUN_ID", "none")];
    let args = parse(&[], &launcher(&torchrun)).unwrap();
    assert_eq!(args.coordinator.to_string(), "http://host:29400/");
    let [note] = &args.notes[..] else { panic!("{:?}", args.notes) };
    assert!(note.starts_with("MASTER_PORT=41234 is the port of torchrun's own store"), "{note}");
    let given = parse(&["--coordinator", "http://host:41234"], &launcher(&torchrun)).unwrap();
    assert!(given.notes.is_empty());
}

#[test]
fn a_flag_given_twice_counts_as_the_last_one() {
    let args = parse(&["--rank", "1", "--parallel", "2", "--rank", "2"], &Launcher::default());
    assert_eq!(args.unwrap().slot, Some(Slot(2)));
}

#[test]
fn every_variable_of_the_program_is_known() {
    let known = command_line::variables::known();
    let command = RawArgs::command();
    let named = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
    named.for_each(|name| assert!(known.contains(name), "{name}"));
}
