//! Tests of [`super`]: what is taken, what is refused, and what is said then.

use std::path::Path;

use common::command_line::variables;
use common::config::{PictureFormat, Precision};
use common::launcher::Launcher;

use super::*;
use crate::commands::verify::plan::RESERVED;
use crate::run_directory::CONFIG;

fn parse_with(args: &[&str], world_size: Option<&str>) -> Result<Command> {
    let launcher = Launcher::from_variables(|name| {
        world_size.filter(|_| name == "WORLD_SIZE").map(String::from)
    });
    let environment = Environment { launcher, mnist_dir: None, cores: 2 };
    let args = std::iter::once("coordinator").chain(args.iter().copied());
    parse(args.map(OsString::from), &environment)
}

fn plan(args: &[&str], world_size: Option<&str>) -> RunPlan {
    match parse_with(args, world_size).unwrap() {
        Command::Run(plan) => *plan,
        other => panic!("{other:?} is not a run"),
    }
}

fn error(args: &[&str]) -> String {
    parse_with(args, None).unwrap_err().to_string()
}

#[test]
fn world_size_counts_where_nothing_else_does() {
    assert_eq!(plan(&[], None).config.workers, 1);
    assert_eq!(plan(&[], Some("3")).config.workers, 3);
    assert_eq!(plan(&["--workers", "2"], Some("3")).config.workers, 2);
    assert!(parse_with(&[], Some("many")).unwrap_err().to_string().contains("WORLD_SIZE"));
}

#[test]
fn settings_are_resolved() {
    let config = plan(&["--workers", "6"], None).config;
    assert_eq!((config.shard_count(), config.thread_count()), (8, 1));
}

#[test]
fn status_takes_its_own_options() {
    let Command::Status(plan) = parse_with(&["status", "--json"], None).unwrap() else { panic!() };
    assert!(plan.json);
    assert_eq!(plan.coordinator.address(), "http://127.0.0.1:29400");
}

#[test]
fn nonsense_is_refused() {
    assert!(error(&["--workers", "0"]).contains("--workers: must be at least 1"));
    assert!(error(&["--epochs", "0"]).contains("--epochs: must be at least 1"));
    assert!(error(&["--batch-size", "0"]).contains("--batch-size: must be at least 1"));
    assert!(error(&["--logical-shards", "0"]).contains("--logical-shards"));
    assert!(error(&["--resume", "/nowhere"]).contains("no run to resume in /nowhere"));
    assert!(error(&["--dataset", "minst"]).contains("did you mean `mnist`"));
    assert!(error(&["--config", "/nowhere.toml"]).contains("/nowhere.toml"));
}

#[test]
fn a_resumed_run_keeps_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let saved = plan(&["--batch-size", "20", "--workers", "3"], None).config;
    std::fs::write(folder.path().join(CONFIG), saved.to_toml()).unwrap();

    let resumed = plan(&["--resume", root, "--workers", "2"], None);
    assert!(resumed.resume);
    assert_eq!((resumed.config.batch_size, resumed.config.workers), (20, 2));
    assert_eq!(resumed.config.run_dir.as_deref(), Some(folder.path()));
    assert_eq!(plan(&["--resume", "--run-dir", root], None).config.batch_size, 20);
    assert_eq!(plan(&["--resume", root], Some("5")).config.workers, 5);

    assert!(
        error(&["--resume", root, "--batch-size", "30"]).contains("--batch-size is 30 here but 20")
    );
    let file = folder.path().join("new.toml");
    std::fs::write(&file, "seed = 9").unwrap();
    let file = file.to_str().unwrap();
    assert!(error(&["--resume", root, "--config", file]).contains("--seed is 9 here but 0"));
}

#[test]
fn a_run_is_resumed_if_there_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let flags = ["--resume-if-any", "--run-dir", root, "--batch-size", "20"];
    let begun = plan(&flags, None);
    assert!(!begun.resume);
    std::fs::write(folder.path().join(CONFIG), begun.config.to_toml()).unwrap();
    let resumed = plan(&flags[..3], None);
    assert!(resumed.resume);
    assert_eq!((resumed.config.batch_size, resumed.config.run_dir), (20, begun.config.run_dir));
    assert!(!plan(&["--resume-if-any", "false", "--run-dir", root], None).resume);
    assert!(error(&["--resume-if-any"]).contains("needs --run-dir"));
    assert!(error(&["--resume-if-any", "--resume", "/nowhere"]).contains("/nowhere"));
}

#[test]
fn an_unknown_key_names_the_nearest() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "batchsize = 3").unwrap();
    let message = error(&["--config", file.path().to_str().unwrap()]);
    assert!(message.contains("batchsize") && message.contains("`batch-size`"), "{message}");
}

fn verify(args: &[&str]) -> Result<VerifyPlan> {
    let environment = Environment { launcher: Launcher::default(), mnist_dir: None, cores: 64 };
    let args = ["coordinator", "verify"].iter().chain(args).map(OsString::from);
    match parse(args, &environment)? {
        Command::Verify(plan) => Ok(*plan),
        other => panic!("{other:?} is no verification"),
    }
}

#[test]
fn what_verify_sets_is_refused_among_the_settings() {
    for name in RESERVED {
        for setting in [format!("--{name}"), format!("--{name}=1")] {
            let error = verify(&["--", "--seed", "1", &setting]).unwrap_err().to_string();
            assert!(error.contains(&format!("--{name} cannot be")), "{setting}: {error}");
        }
    }
}

#[test]
fn a_wrong_setting_shows_at_once() {
    let error = verify(&["--", "--batch-size", "0"]).unwrap_err().to_string();
    assert!(error.contains("--batch-size: must be at least 1"), "{error}");
    assert!(verify(&["--", "--bath-size", "1"]).unwrap_err().to_string().contains("bath-size"));
    assert!(verify(&["--", "status"]).is_err());
    assert!(verify(&["--workers", "1"]).is_err());
}

#[test]
fn all_runs_share_shards_and_threads() {
    let check = |args: &[&str], shards, threads| {
        let plan = verify(args).unwrap();
        for workers in [1, plan.workers] {
            let config = plan.config_of(Precision::F64, workers, Path::new("run"));
            config.validate().unwrap();
            assert_eq!((config.shard_count(), config.thread_count()), (shards, threads));
        }
    };
    check(&[], 8, 1);
    check(&["--workers", "6"], 8, 1);
    check(&["--workers", "6", "--", "--logical-shards", "3", "--threads", "2"], 3, 2);
}

#[test]
fn given_settings_stay() {
    let plan = verify(&["--steps", "8", "--", "--test-samples", "9", "--seed", "5"]).unwrap();
    let config = plan.shared();
    assert_eq!((config.test_samples, config.seed), (Some(9), 5));
    assert_eq!((config.max_steps, config.checkpoint_every), (Some(8), 2));
    assert_eq!(verify(&[]).unwrap().shared().test_samples, Some(0));
}

#[test]
fn a_flag_given_twice_counts_as_the_last_one() {
    let config = plan(&["--epochs", "3", "--spawn", "--epochs", "4", "--spawn=false"], None).config;
    assert_eq!((config.epochs, config.spawn), (4, false));
    let formats = ["--picture-format", "png,jpg", "--picture-format", "svg"];
    assert_eq!(plan(&formats, None).config.picture_format, [PictureFormat::Svg]);
    let status = ["status", "--coordinator", "http://a:1", "--coordinator", "http://b:2"];
    let Command::Status(plan) = parse_with(&status, None).unwrap() else { panic!() };
    assert_eq!(plan.coordinator.address(), "http://b:2");
    assert_eq!(verify(&["--steps", "3", "--steps", "5"]).unwrap().shared().max_steps, Some(5));
}

#[test]
fn the_master_of_pods_counts_its_workers_from_1() {
    let variables = [("RANK", "0"), ("WORLD_SIZE", "3"), ("KUBERNETES_SERVICE_HOST", "h")];
    let launcher = Launcher::from_variables(|name| {
        variables.iter().find(|(other, _)| *other == name).map(|it| it.1.to_string())
    });
    let environment = Environment { launcher, mnist_dir: None, cores: 2 };
    let workers = |flags: &[&str]| {
        let args = std::iter::once(&"coordinator").chain(flags).map(OsString::from);
        let Command::Run(plan) = parse(args, &environment).unwrap() else { panic!() };
        (plan.config.workers, plan.config.most_workers())
    };
    assert_eq!(workers(&[]), (2, 3));
    assert_eq!(workers(&["--workers", "3"]), (3, 3));
}

#[test]
fn every_variable_of_the_program_is_known() {
    let known = variables::known();
    let mut commands = vec![Raw::command()];
    while let Some(command) = commands.pop() {
        let named = command.get_arguments().filter_map(|argument| argument.get_env()?.to_str());
        named.for_each(|name| assert!(known.contains(name), "{name}"));
        commands.extend(command.get_subcommands().cloned());
    }
}
