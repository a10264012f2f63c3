//! The command line: subcommands and flags. It collects what was typed; whether a value is valid is
//! decided where flags, environment and file have come together.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Arg, ArgAction, ArgMatches, Args, Command as ClapCommand, FromArgMatches};

use super::exit;
use super::settings::{Row, SETTINGS, Setting, Shape};

/// Parcelhook's worker: consumes Kafka topics and delivers their events to webhooks.
#[derive(Debug, clap::Parser)]
#[command(name = "parcelhook-worker", version, after_help = exit::help())]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the process is asked to do.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    /// Deliver events until SIGTERM.
    ///
    /// Every setting may be given as a flag, in the environment, or in the file that --config names;
    /// a flag wins over the environment, the environment over the file. An empty value counts as not given.
    #[command(after_help = exit::help())]
    Run(Options),
    /// Validate the configuration and every manifest, print what is wrong, and exit.
    ///
    /// Takes the same settings as `run`, and contacts nobody.
    #[command(after_help = exit::help())]
    Check(Options),
    /// Show Parcelhook at work: a demo broker in memory, a producer and receivers. Needs nothing.
    #[command(after_help = exit::help())]
    Dev(DevOptions),
}

/// Options of `dev`. Which load the demo can carry is for the demo to say.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
pub struct DevOptions {
    /// Events that the demo producer writes each second.
    #[arg(long, value_name = "EVENTS_PER_SECOND", default_value_t = 20)]
    pub rate: u32,
    /// Size of each event's value in bytes.
    #[arg(long, value_name = "BYTES", default_value_t = 256)]
    pub size: u32,
    /// Directory of your own manifests, instead of the three of the demo.
    #[arg(long, value_name = "DIR")]
    pub targets: Option<PathBuf>,
    /// Where the admin page is served. Port 0 takes any free one.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:8080")]
    pub admin_listen: SocketAddr,
}

/// The settings that were given as flags, as they were typed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Options {
    /// The file that `--config` names.
    pub(super) config: Option<PathBuf>,
    /// The typed values of each flag that was given.
    pub(super) given: Vec<(Setting, Vec<String>)>,
}

/// Names only: a property of librdkafka may be a secret.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keys: Vec<Setting> = self.given.iter().map(|(key, _)| *key).collect();
        f.debug_struct("Options")
            .field("config", &self.config)
            .field("given", &keys)
            .finish()
    }
}

impl Args for Options {
    fn augment_args(command: ClapCommand) -> ClapCommand {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("YAML file of settings [env: PARCELHOOK_CONFIG]");
        SETTINGS.iter().filter(|row| has_flag(row)).fold(
            command.next_help_heading("Settings").arg(config),
            |command, row| command.arg(argument(row)),
        )
    }

    fn augment_args_for_update(command: ClapCommand) -> ClapCommand {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Options {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut options = Self {
            config: matches.get_one::<PathBuf>("config").cloned(),
            given: Vec::new(),
        };
        for row in SETTINGS.iter().filter(|row| has_flag(row)) {
            if let Some(values) = matches.get_many::<String>(row.flag) {
                options.given.push((row.setting, values.cloned().collect()));
            }
        }
        Ok(options)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn has_flag(row: &Row) -> bool {
    row.shape != Shape::Secret
}

fn argument(row: &'static Row) -> Arg {
    let argument = Arg::new(row.flag)
        .long(row.flag)
        .value_name(row.value)
        .help(help(row));
    match row.shape {
        Shape::One | Shape::Secret => argument.action(ArgAction::Set),
        Shape::List | Shape::Pairs => argument.action(ArgAction::Append),
        Shape::Switch => argument
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true"),
    }
}

fn help(row: &Row) -> String {
    let mut text = format!("{} [file: {}] [env: {}]", row.help, row.path, row.variable);
    if let Some(default) = row.default_means.or(row.default) {
        text.push_str(&format!(" [default: {default}]"));
    }
    if row.setting == Setting::KafkaSaslPasswordFile {
        let password = Setting::KafkaSaslPassword.row();
        text.push_str(&format!(
            " [or the password itself in env: {}]",
            password.variable
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use super::*;

    fn parse(arguments: &[&str]) -> Result<Cli, clap::Error> {
        Cli::try_parse_from([&["parcelhook-worker"], arguments].concat())
    }

    fn options(arguments: &[&str]) -> Options {
        match parse(&[&["run"], arguments].concat()).unwrap().command {
            Command::Run(options) => options,
            Command::Check(_) | Command::Dev(_) => panic!("not run"),
        }
    }

    #[test]
    fn clap_accepts_the_definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn flags_are_collected_as_they_were_typed() {
        let options = options(&[
            "--config=worker.yaml",
            "--bootstrap-servers",
            "a:1,b:2",
            "--egress-allow",
            "10.0.0.0/8",
            "--egress-allow=127.0.0.0/8",
            "--create-topics",
            "--kafka-tls-enabled=false",
        ]);
        assert_eq!(options.config, Some(PathBuf::from("worker.yaml")));
        let given = |key| {
            let (_, values) = options.given.iter().find(|(given, _)| *given == key)?;
            Some(values.join(" "))
        };
        assert_eq!(given(Setting::BootstrapServers).as_deref(), Some("a:1,b:2"));
        assert_eq!(
            given(Setting::EgressAllow).as_deref(),
            Some("10.0.0.0/8 127.0.0.0/8")
        );
        assert_eq!(given(Setting::CreateTopics).as_deref(), Some("true"));
        assert_eq!(given(Setting::KafkaTlsEnabled).as_deref(), Some("false"));
        assert_eq!(given(Setting::Shards), None);
    }

    #[test]
    fn a_wrong_command_line_and_a_wrong_configuration_have_one_exit_code() {
        for arguments in [
            &["run", "--no-such-flag"][..],
            &["run", "--prefix", "a", "--prefix", "b"],
            &["run", "--kafka-sasl-password", "hunter2"],
            &["dev", "--rate", "many"],
            &["dev", "--admin-listen", "8080"],
            &["walk"],
            &[],
        ] {
            let error = parse(arguments).unwrap_err();
            assert_eq!(
                error.exit_code(),
                i32::from(exit::Exit::Configuration.code()),
                "{arguments:?}"
            );
        }
    }

    #[test]
    fn help_documents_every_setting_and_exit_code() {
        for subcommand in ["run", "check"] {
            let error = parse(&[subcommand, "--help"]).unwrap_err();
            assert_eq!(error.exit_code(), 0);
            let text = error.to_string();
            for row in &SETTINGS {
                assert!(text.contains(row.variable), "{}", row.variable);
                if has_flag(row) {
                    assert!(text.contains(&format!("--{}", row.flag)), "{}", row.flag);
                    assert!(text.contains(&format!("[file: {}]", row.path)));
                }
            }
            for exit in exit::Exit::ALL {
                assert!(text.contains(exit.meaning()), "{exit:?}");
            }
        }
    }

    #[test]
    fn the_demo_has_options_of_its_own() {
        let Command::Dev(defaults) = parse(&["dev"]).unwrap().command else {
            panic!("not dev");
        };
        assert_eq!(defaults.admin_listen.port(), 8080);
        assert_eq!(defaults.targets, None);
        let arguments = "dev --rate 100 --size 1024 --targets t --admin-listen 127.0.0.1:0";
        let arguments: Vec<&str> = arguments.split(' ').collect();
        let Command::Dev(given) = parse(&arguments).unwrap().command else {
            panic!("not dev");
        };
        assert_eq!((given.rate, given.size), (100, 1024));
        assert_eq!(given.targets, Some(PathBuf::from("t")));
        assert_eq!(given.admin_listen.port(), 0);
    }

    #[test]
    fn debug_shows_the_names_of_flags_and_not_their_values() {
        let options = options(&["--kafka-properties", "ssl.key.password=hunter2"]);
        assert!(!format!("{options:?}").contains("hunter2"));
    }
}
