//! The table of settings keeps its own rules.

use parcelhook_kafka::Key;

use super::layers::KAFKA;
use super::settings::{SETTINGS, Setting};

#[test]
fn each_key_finds_its_own_row() {
    for row in &SETTINGS {
        assert_eq!(row.setting.row().path, row.path);
    }
}

#[test]
fn flag_and_variable_follow_from_the_path() {
    for setting in &SETTINGS {
        let mut flag = String::new();
        for letter in setting.path.chars() {
            match letter {
                '.' => flag.push('-'),
                upper if upper.is_ascii_uppercase() => {
                    flag.push('-');
                    flag.push(upper.to_ascii_lowercase());
                }
                other => flag.push(other),
            }
        }
        assert_eq!(setting.flag, flag);
        let variable = format!("PARCELHOOK_{}", flag.replace('-', "_").to_uppercase());
        assert_eq!(setting.variable, variable);
    }
}

#[test]
fn the_settings_of_kafka_have_the_names_that_the_operator_uses() {
    let properties = (Setting::KafkaProperties, Key::Properties);
    for (setting, key) in KAFKA.into_iter().chain([properties]) {
        let row = setting.row();
        let names = [row.path, row.flag, row.variable];
        assert_eq!(names, [key.path(), key.flag(), key.variable()]);
    }
}
