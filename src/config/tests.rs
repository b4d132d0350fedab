//! Tests of flags, environment variables and defaults.

use std::fs;
use std::path::PathBuf;

use clap::{CommandFactory, Parser};

use super::*;

#[derive(Parser)]
struct Cli {
    #[command(flatten)]
    config: Config,
}

fn config(arguments: &[&str]) -> Config {
    let arguments = std::iter::once("deskline").chain(arguments.iter().copied());
    Cli::try_parse_from(arguments).unwrap().config.complete().unwrap()
}

#[test]
fn a_demo_stays_on_this_machine() {
    assert!(config(&["--demo"]).demo);
    let public = Cli::try_parse_from(["deskline", "--demo", "--listen", "0.0.0.0:3000"]).unwrap();
    assert!(matches!(public.config.complete(), Err(ConfigError::DemoInPublic(_))));
}

#[test]
fn a_secret_that_is_known_or_can_be_guessed_is_refused_outside_the_demo() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("deskline.db");
    let secret = |value: &str, demo| config(&["--jwt-secret", value]).auth.secret(Some(&data), demo);
    for known in ["mysecretkey", "Changeme", "a-string-secret-at-least-256-bits-long"] {
        assert!(matches!(secret(known, false), Err(SecretError::WellKnown(_))), "{known}");
    }
    for short in ["", "short", "one-byte-less-than-is-needed-xx", &"0".repeat(64), &"12".repeat(32)] {
        assert!(matches!(secret(short, false), Err(SecretError::TooShort)), "{short}");
    }
    assert!(secret("as-many-bytes-as-are-needed-xxxx", false).is_ok());
    let allowed =
        |value: &str| config(&["--allow-short-secret", "--jwt-secret", value]).auth.secret(Some(&data), false);
    assert!(allowed("of-the-node-product").is_ok());
    assert!(
        matches!(allowed("mysecretkey"), Err(SecretError::WellKnown(_))),
        "a well-known secret is refused even with `--allow-short-secret`"
    );
    assert_eq!(secret("mysecretkey", true).unwrap().expose(), "mysecretkey");
}

#[test]
fn a_generated_secret_is_saved_and_private() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("deskline.db");
    let auth = AuthConfig { jwt_secret: None, ..config(&[]).auth };
    let first = auth.secret(Some(&data), false).unwrap();
    assert_eq!(first.expose().len(), 64);
    assert_eq!(auth.secret(Some(&data), false).unwrap().expose(), first.expose());
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(folder.path().join("deskline.db.secret")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn mongodb_is_chosen_by_its_uri_and_requires_a_secret() {
    let on_mongo = config(&["--mongodb-uri", "mongodb://ann:hunter2@db.test/desk"]);
    assert_eq!(on_mongo.store.location().to_string(), "MongoDB at db.test/desk");
    assert!(!format!("{on_mongo:?}").contains("hunter2"));
    let auth = AuthConfig { jwt_secret: None, ..on_mongo.auth };
    assert!(matches!(
        auth.secret(on_mongo.store.location().file().map(PathBuf::as_path), false),
        Err(SecretError::NotGiven)
    ));
    assert!(Cli::try_parse_from(["deskline", "--mongodb-uri", "mongodb://db.test", "--data", "x.db"]).is_err());
    let demo = Cli::try_parse_from(["deskline", "--demo", "--mongodb-uri", "mongodb://db.test"]).unwrap();
    assert!(matches!(demo.config.complete(), Err(ConfigError::DemoOnMongo)));
}

#[test]
fn a_client_url_becomes_the_origin_that_browsers_send() {
    let urls = config(&["--client-url", "https://shop.test/, http://localhost:5173/desk/"]).listen.client_urls;
    let origins: Vec<_> = urls.iter().map(crate::net::ClientUrl::origin).collect();
    assert_eq!(origins, ["https://shop.test", "http://localhost:5173"]);
    let refused = Cli::try_parse_from(["deskline", "--client-url", "*"]).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("hint: name each origin"), "{refused}");
}

#[test]
fn errors_say_what_to_do() {
    for (arguments, says) in [
        (["--listen", "4501"], "127.0.0.1:4501 for this machine only, or 0.0.0.0:4501 for all networks"),
        (["--listen", ":4501"], "127.0.0.1:4501 for this machine only"),
        (["--listen", "localhost:4501"], "127.0.0.1:4501 for this machine only"),
        (["--max-attachment", "99999999999"], "1..=10240"),
        (["--send-rate", "4294967295"], "1000000"),
    ] {
        let refused =
            Cli::try_parse_from(["deskline", arguments[0], arguments[1]]).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains(arguments[0]) && refused.contains(says), "{refused}");
    }
    let role = "boss".parse::<crate::domain::Role>().unwrap_err();
    assert_eq!(role.to_string(), "must be one of: user, agent, admin");
}

#[test]
fn heartbeat_times_are_bounded() {
    for never in ["0s", "99ms", "2days"] {
        let refused = Cli::try_parse_from(["deskline", "--ping-interval", never]).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("--ping-interval") && refused.contains("between 100ms and 1day"), "{refused}");
    }
    let heartbeat = config(&["--ping-timeout", "100ms"]).heartbeat.heartbeat();
    assert_eq!((heartbeat.interval.as_secs(), heartbeat.timeout.as_millis()), (25, 100));
}

#[test]
fn times_after_which_the_desk_acts_are_a_day_at_most() {
    for flag in ["--typing-ttl", "--offline-grace", "--silence"] {
        // The last one would overflow the clock.
        for never in ["25h", "300000000000years", "soon"] {
            let refused = Cli::try_parse_from(["deskline", flag, never]).map(|_| ()).unwrap_err().to_string();
            assert!(refused.contains(flag), "{refused}");
            assert_eq!(refused.contains("must be at most 1day"), never != "soon", "{refused}");
        }
    }
    assert_eq!(config(&["--typing-ttl", "1day"]).desk.typing_ttl.as_secs(), 86_400);
    assert_eq!(config(&["--offline-grace", "0s"]).desk.offline_grace.as_secs(), 0);
}

#[test]
fn the_example_file_has_every_setting_and_no_other() {
    let example = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/.env.example")).unwrap();
    let names: Vec<String> = Cli::command()
        .get_arguments()
        .filter_map(|argument| argument.get_env().map(|name| name.to_string_lossy().into_owned()))
        .collect();
    for name in &names {
        assert!(example.contains(&format!("{name}=")), "{name} is missing in .env.example");
    }
    for line in example.lines().filter(|line| line.contains("DESKLINE_")) {
        let name = line.trim_start_matches(['#', ' ']).split('=').next().unwrap_or_default().to_owned();
        assert!(names.contains(&name), "{name} is not a setting");
    }
}
