//! Problems as programs read them.

use serde::Serialize;

use super::{Place, Problem, Problems, Severity, Sources};

/// Longest excerpt given, in characters.
const EXCERPT_CHARACTERS_MAX: usize = 400;

/// [`Problem`] in JSON.
#[derive(Serialize)]
struct JsonProblem<'a> {
    code: &'static str,
    severity: &'static str,
    title: &'a str,
    places: Vec<JsonPlace<'a>>,
    notes: &'a [String],
    help: &'a [String],
}

/// [`Place`] in JSON: line, column and excerpt are null where unknown.
#[derive(Serialize)]
struct JsonPlace<'a> {
    file: String,
    line: Option<u32>,
    column: Option<u32>,
    excerpt: Option<String>,
    label: &'a str,
}

impl Problems {
    /// An array of problems: `code`, `severity` ("error", "warning"), `title`,
    /// `places` (`file`, `line`, `column`, `excerpt`, `label`), `notes`, `help`.
    pub fn to_json(&self, sources: &Sources) -> serde_json::Value {
        let list: Vec<JsonProblem<'_>> =
            self.iter().map(|problem| json_problem(problem, sources)).collect();
        serde_json::to_value(list).unwrap_or_default()
    }
}

fn json_problem<'a>(problem: &'a Problem, sources: &Sources) -> JsonProblem<'a> {
    JsonProblem {
        code: problem.code,
        severity: match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        },
        title: &problem.title,
        places: problem.places.iter().map(|place| json_place(place, sources)).collect(),
        notes: &problem.notes,
        help: &problem.help,
    }
}

fn json_place<'a>(place: &'a Place, sources: &Sources) -> JsonPlace<'a> {
    let at = sources.line_column(place);
    let excerpt = at.and_then(|at| {
        let line = sources.line_range(place.file, at.line)?;
        let text = &sources.text(place.file)?[line];
        Some(text.chars().take(EXCERPT_CHARACTERS_MAX).collect())
    });
    JsonPlace {
        file: sources.name(place.file),
        line: at.map(|at| at.line),
        column: at.map(|at| at.column),
        excerpt,
        label: &place.label,
    }
}
