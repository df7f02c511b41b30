//! What rendering promises.

use super::*;

const TEXT: &str = "[server]\nworkers = \"many\"\nidentity = \"größe\" # x\n";

fn sources() -> (Sources, FileId) {
    let mut sources = Sources::default();
    let file = sources.add("windrose.toml").unwrap();
    sources.set_text(file, Some(TEXT.to_owned()));
    (sources, file)
}

fn spot_of(file: FileId, part: &str) -> Spot {
    let start = TEXT.find(part).unwrap();
    Spot::new(file, start..start + part.len())
}

#[test]
fn a_problem_shows_file_line_column_excerpt_and_help() {
    let (sources, file) = sources();
    let mut problems = Problems::default();
    problems.push(
        Problem::error("wrong-type", "`workers` must be a whole number")
            .at_with(spot_of(file, "\"many\""), "a string")
            .help("write: workers = 4"),
    );
    assert_eq!(
        problems.render(&sources, false),
        "error[wrong-type]: `workers` must be a whole number
 --> windrose.toml:2:11
  |
2 | workers = \"many\"
  |           ^^^^^^ a string
  |
  = help: write: workers = 4

"
    );
}

#[test]
fn columns_count_characters() {
    let (sources, file) = sources();
    let place = spot_of(file, "# x").label("");
    assert_eq!(sources.line_column(&place), Some(LineColumn { line: 3, column: 20 }));
}

#[test]
fn a_line_and_column_is_as_good_as_a_span() {
    let (sources, file) = sources();
    let mut problems = Problems::default();
    problems.push(Problem::error("x", "t").at_line(file, 2, 11));
    let text = problems.render(&sources, false);
    assert!(text.contains("2 | workers = \"many\"\n  |           ^^^^^^"), "{text}");
}

#[test]
fn without_text_the_file_is_still_named() {
    let (mut sources, file) = sources();
    sources.set_text(file, None);
    let mut problems = Problems::default();
    problems.push(Problem::error("x", "t").at(spot_of(file, "many")));
    assert_eq!(sources.wanted(&problems), [file]);
    assert!(problems.render(&sources, false).contains("--> windrose.toml"));
}

#[test]
fn the_same_is_said_once_and_floods_are_cut() {
    let (sources, file) = sources();
    let mut problems = Problems::default();
    for index in 0..PROBLEMS_MAX + 7 {
        problems.push(Problem::error("x", format!("t{index}")).at(spot_of(file, "many")));
    }
    problems.push(Problem::warning("w", "t").at(spot_of(file, "many")));
    problems.push(Problem::warning("w", "t").at(spot_of(file, "many")));
    assert_eq!((problems.errors(), problems.warnings()), (PROBLEMS_MAX + 7, 1));
    assert_eq!(problems.iter().count(), PROBLEMS_MAX + 1);
    assert!(problems.render(&sources, false).ends_with("(7 more not shown)\n\n"));
    assert_eq!(problems.summary(), format!("{} errors and 1 warning", PROBLEMS_MAX + 7));
}

#[test]
fn json_gives_line_column_and_excerpt() {
    let (sources, file) = sources();
    let mut problems = Problems::default();
    problems.push(Problem::warning("w", "t").at_with(spot_of(file, "workers"), "here"));
    let json = problems.to_json(&sources);
    assert_eq!(json[0]["severity"], "warning");
    assert_eq!(json[0]["places"][0]["line"], 2);
    assert_eq!(json[0]["places"][0]["column"], 1);
    assert_eq!(json[0]["places"][0]["excerpt"], "workers = \"many\"");
    assert_eq!(json[0]["places"][0]["label"], "here");
}

#[test]
fn escapes_in_titles_do_not_reach_the_terminal() {
    let (sources, file) = sources();
    let mut problems = Problems::default();
    problems.push(Problem::error("x", "bad \u{1b}[2J name").in_file(file));
    assert!(!problems.render(&sources, false).contains('\u{1b}'));
}

#[test]
fn a_place_in_a_line_end_of_two_bytes_can_be_shown() {
    let (mut sources, file) = sources();
    sources.set_text(file, Some("[zone.\"e.c\r\nnext".to_owned()));
    for start in 10..13 {
        let mut problems = Problems::default();
        let spot = Spot::new(file, start..start + 1);
        problems.push(Problem::error("syntax", "a string is not closed").at_with(spot, "here"));
        assert!(problems.render(&sources, false).contains("windrose.toml"));
    }
}
