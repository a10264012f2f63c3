//! The table of settings keeps its own rules.

use super::settings::SETTINGS;

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
